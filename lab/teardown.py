"""Taking a lab down from what its state says, whoever made it and however far it came."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from .interrupts import no_interrupt
from .namespace import NamespaceId, delete_namespaces, namespace_id, netns_path
from .process import ProcessId, running_processes
from .state import DATA_DIRECTORY, RUN_DIRECTORY, LabState, data_directory, run_directory
from .waiting import wait_until

CGROUP_DIRECTORY = Path("/sys/fs/cgroup")
DEADLINE_S = 20.0


def take_down(prefix: str) -> None:
    """End the lab `prefix` and remove every trace of it; without such a lab, do nothing.

    Killing is enough, no order is needed: rules and links end with their namespace, and the engines keep their mounts
    and sockets in a mount namespace of their own.
    """
    with no_interrupt():
        _take_down(prefix)


def _take_down(prefix: str) -> None:
    state = LabState.load(prefix)
    if state is not None:
        _kill_members(state)
        delete_namespaces(state.netns)
        for name in state.cgroups:
            _remove_cgroup(name)
    # lab.json goes last: until then a down that is interrupted can be repeated.
    remove_tree(data_directory(prefix))
    for path in run_directory(prefix).glob("*/"):
        remove_tree(path)
    remove_tree(run_directory(prefix))
    for parent in (DATA_DIRECTORY, RUN_DIRECTORY):
        with suppress(OSError):  # other labs are in it, or it never was
            parent.rmdir()


def remove_tree(directory: Path) -> None:
    """Remove a folder and all in it, if it exists, even while another process removes it too."""
    while directory.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(directory)


def members(state: LabState) -> list[ProcessId]:
    """The processes that belong to the lab: recorded, or in one of its network namespaces or cgroups.

    This process and those it descends from are never among them, so that a shell inside a node can take it down.
    """
    running = running_processes()
    in_cgroups = [process for process in running if _is_in_cgroup(process.pid, state.cgroups)]
    # A container that was made but not yet recorded is known by its cgroup; its namespace leads to the rest of it.
    namespaces = {_network_of(process.pid) for process in in_cgroups} - {_network_of(1)}
    namespaces |= {namespace_id(netns_path(name)) for name in state.netns} | set(state.container_netns)
    namespaces.discard(None)
    in_namespaces = [process for process in running if _network_of(process.pid) in namespaces]
    recorded = [process for process in state.processes if process.is_running()]
    spared = _own_ancestry()
    return [process for process in {*recorded, *in_cgroups, *in_namespaces} if process.pid not in spared]


def _network_of(pid: int) -> NamespaceId | None:
    return namespace_id(f"/proc/{pid}/ns/net")


def _is_in_cgroup(pid: int, names: list[str]) -> bool:
    if not names:
        return False
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
    paths = [line.split(":", 2)[2] for line in text.splitlines()]
    return any(name in path.split("/") for path in paths for name in names)


def _own_ancestry() -> set[int]:
    pids, pid = set[int](), os.getpid()
    while pid > 0 and pid not in pids:
        pids.add(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(status.split("\nPPid:", 1)[1].split(maxsplit=1)[0])
    return pids


def _kill_members(state: LabState) -> None:
    def all_gone() -> bool:
        # Again and again: dockerd starts processes while it is being killed.
        found = members(state)
        for process in found:
            _kill(process)
        return not found

    wait_until(all_gone, DEADLINE_S, f"the processes of the lab `{state.prefix}` are gone")


def _kill(process: ProcessId) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            # Since it was listed its pid may have passed to a stranger; from here on the descriptor holds it fast.
            if process.is_running():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def _remove_cgroup(name: str) -> None:
    """Remove the cgroup in every hierarchy: /sys/fs/cgroup itself (version 2) and its folders (version 1)."""

    def removed() -> bool:
        left = [top for top in (CGROUP_DIRECTORY / name, *CGROUP_DIRECTORY.glob(f"*/{name}")) if top.is_dir()]
        for top in left:
            for directory, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):  # busy for a moment after its last process was killed
                    os.rmdir(directory)  # noqa: PTH106 - os.walk gives text
        return not left

    wait_until(removed, DEADLINE_S, f"the cgroup `{name}` is removed")
