"""What a lab leaves on disk so that any process can find it and take it down: /run/ttrace-lab/PREFIX/lab.json."""

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import TtraceError
from .node import Container
from .process import ProcessId

RUN_DIRECTORY = Path("/run/ttrace-lab")
DATA_DIRECTORY = Path("/var/lib/ttrace-lab")


def run_directory(prefix: str) -> Path:
    """Sockets, logs and lab.json of the lab `prefix`; short, since a socket path has at most 107 bytes."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", prefix):
        raise TtraceError(
            f"`{prefix}` cannot be the prefix of a lab",
            "use at most 16 small letters, digits and hyphens, starting with a letter",
        )
    return RUN_DIRECTORY / prefix


def data_directory(prefix: str) -> Path:
    """Images and containers of the lab `prefix`."""
    return DATA_DIRECTORY / run_directory(prefix).name


@dataclass
class LabState:
    """Everything that has to be undone, written before it is done."""

    prefix: str
    kind: str
    """`docker` or `light`."""
    options: dict[str, Any]
    """Keyword arguments that make the same lab object again."""
    netns: list[str]
    """Names of the network namespaces."""
    cgroups: list[str]
    """Names of the topmost cgroups, the same in every hierarchy."""
    starter: ProcessId
    """The process that brings the lab up."""
    ready: bool = False
    """Whether it came up completely."""
    processes: list[ProcessId] = field(default_factory=list)
    """Long-running processes started so far."""
    containers: dict[str, Container] = field(default_factory=dict)
    """Containers running so far."""
    container_netns: list[tuple[int, int]] = field(default_factory=list)
    """Namespace ids of the containers that have no name in /run/netns."""
    _abandoned: bool = field(default=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def claim(
        cls, prefix: str, kind: str, *, options: dict[str, Any], netns: list[str], cgroups: list[str]
    ) -> "LabState":
        """Take the prefix for a new lab; TtraceError when a lab has it, or somebody else uses one of its names."""
        if os.geteuid() != 0:
            raise TtraceError("a lab makes network namespaces, which only root may", "run it with sudo")
        directory = run_directory(prefix)
        taken = [name for name in netns if Path("/run/netns", name).exists()]
        if taken and not directory.exists():
            raise TtraceError(
                f"the network namespace `{taken[0]}` exists, but no lab made it",
                f"use another prefix, or remove it with `ip netns delete {taken[0]}`",
            )
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            raise TtraceError(
                f"the lab `{prefix}` exists already", f"`ttrace lab down --prefix {prefix}` ends it"
            ) from None
        state = cls(prefix, kind, options, netns, cgroups, ProcessId.of(os.getpid()))
        state.save()
        return state

    @classmethod
    def load(cls, prefix: str) -> "LabState | None":
        """The state of the lab `prefix`, or None when there is no such lab."""
        try:
            values = json.loads((run_directory(prefix) / "lab.json").read_text())
        except FileNotFoundError:
            return None
        values["starter"] = ProcessId(**values["starter"])
        values["processes"] = [ProcessId(**process) for process in values["processes"]]
        values["containers"] = {name: Container(**container) for name, container in values["containers"].items()}
        values["container_netns"] = [(device, inode) for device, inode in values["container_netns"]]
        return cls(**values)

    def save(self) -> None:
        """Write lab.json; a reader sees the old or the new one, never a half."""
        path = run_directory(self.prefix) / "lab.json"
        values = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(values, default=asdict, indent=2))
        temporary.replace(path)

    def add_process(self, process: ProcessId) -> None:
        """Record a process that `down` has to end."""
        with self._recording():
            self.processes.append(process)

    def add_container(self, container: Container, netns: tuple[int, int] | None = None) -> None:
        """Record a running container, and the id of its namespace unless that has a name."""
        with self._recording():
            self.containers[container.name] = container
            if netns is not None:
                self.container_netns.append(netns)

    def set_ready(self) -> None:
        """Record that the lab is up completely."""
        with self._recording():
            self.ready = True

    def abandon(self) -> None:
        """Refuse what threads that are still at it want to record, so that the files can be removed."""
        with self._lock:
            self._abandoned = True

    @contextmanager
    def _recording(self) -> Iterator[None]:
        with self._lock:
            if self._abandoned:
                raise TtraceError(f"the start of the lab `{self.prefix}` was given up")
            yield
            self.save()

    def is_stale(self) -> bool:
        """Whether the lab never came up and nobody is at it any more."""
        return not self.ready and not self.starter.is_running()
