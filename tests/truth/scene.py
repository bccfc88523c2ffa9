"""Record a scene in a lab and correlate it, both through the command line."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ttrace.lab import Lab, wait_until

from .rawfile import Frame, read_frames

TTRACE = [sys.executable, "-c", "from ttrace.cli import main; main()"]
LISTEN, TIME_WAIT = "0A", "06"


@dataclass
class Scene:
    """One recorded scene: a file per node."""

    files: list[Path]

    @cached_property
    def frames(self) -> list[Frame]:
        """Every packet block of every file, read by the tests' own reader."""
        return [frame for file in self.files for frame in read_frames(file)]

    @cached_property
    def document(self) -> dict[str, Any]:
        """What `ttrace correlate --format json` says."""
        return json.loads(self.correlate("--format", "json"))

    @property
    def paths(self) -> list[dict[str, Any]]:
        """The paths of the document."""
        return self.document["paths"]

    def correlate(self, *options: str) -> str:
        """The output of `ttrace correlate`, which must succeed without a complaint."""
        done = subprocess.run(
            [*TTRACE, "correlate", *map(str, self.files), *options], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


@contextmanager
def recorded(
    lab: Lab, folder: Path, *options: str, nodes: Sequence[str] = ("master", "slave"), inside: bool = True
) -> Iterator[Scene]:
    """Capture on the nodes (and `inside` their containers) while the body makes traffic; complete afterwards."""
    containers = _container_options(lab) if inside else {node: [] for node in nodes}
    with ExitStack() as stack:
        captures = []
        for node in nodes:
            file, log = folder / f"{node}.pcapng", folder / f"{node}.log"
            argv = [*TTRACE, "capture", "--node-name", node, "--write", str(file), *containers[node], *options]
            process = stack.enter_context(
                lab.popen(node, argv, stdout=stack.enter_context(log.open("w")), stderr=subprocess.STDOUT)
            )
            stack.callback(process.terminate)
            captures.append((process, file, log))
        for process, file, log in captures:
            wait_until(lambda p=process, f=file: p.poll() is not None or is_recording(f), 60, f"{file} is recorded")
            assert process.poll() is None, log.read_text()
        yield Scene([file for _, file, _ in captures])
        wait_until(lambda: is_quiet(lab), 20, "all TCP connections are closed")
        for process, _, _ in captures:
            process.send_signal(signal.SIGINT)
        for process, _, log in captures:
            assert process.wait(timeout=60) == 0, log.read_text()
            assert "nothing was lost" in log.read_text(), log.read_text()


def _container_options(lab: Lab) -> dict[str, list[str]]:
    """The options that also capture in the containers: in LightLab they are ordinary namespaces."""
    if lab.kind == "docker":
        return {node: ["--containers"] for node in lab.nodes}
    return {
        node: [word for c in lab.containers.values() if c.node == node for word in ("--netns", Path(c.netns_path).name)]
        for node in lab.nodes
    }


def is_recording(file: Path) -> bool:
    """Are the first snapshots of every namespace in the file? They are taken when rings, sockets and tracing work."""
    if not file.exists():
        return False
    data = file.read_bytes()
    return 0 < data.count(b'"what": "netlink"') <= data.count(b'"kind": "sysctls"')


def is_quiet(lab: Lab) -> bool:
    """Has every TCP connection of the containers and nodes come to its end?"""
    sockets = [lab.command(node, ["cat", "/proc/net/tcp"]).stdout for node in lab.nodes]
    sockets += [Path(f"/proc/{lab.container_pid(name)}/net/tcp").read_text() for name in lab.containers]
    states = {line.split()[3] for text in sockets for line in text.splitlines()[1:]}
    return states <= {LISTEN, TIME_WAIT}
