"""What every lab can do, whatever plays its containers."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from ..errors import TtraceError
from .interrupts import one_interrupt
from .namespace import add_namespace, add_wire, inside, ip_batch, set_sysctl
from .node import Container, Node, find_host
from .process import run
from .state import LabState, run_directory
from .teardown import take_down

StandardStream = int | IO[Any] | None
"""What subprocess.Popen takes for a standard stream."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is known about one node of a lab."""

    name: str
    netns: str
    address: str
    docker_host: str
    """Empty in a lab without Docker."""
    state: str
    """`up`; `starting` while somebody brings the lab up; `broken` when a process of it is missing."""
    containers: dict[str, str]
    """Name and address of each running container."""


class Lab(ABC):
    """Two nodes, each a network namespace, joined by a wire, with containers on each.

    A context manager: up() at the start, down() at the end, whatever happens. Several labs with different prefixes
    live side by side. Everything that fails is a TtraceError.
    """

    kind: ClassVar[str]

    def __init__(self, prefix: str, nodes: dict[str, Node], options: dict[str, Any]) -> None:
        run_directory(prefix)  # refuses a bad prefix
        self.prefix = prefix
        self.nodes = nodes
        """`master` and `slave`; known before the lab is up."""
        self.containers: dict[str, Container] = {}
        """The containers of both nodes by name; empty until the lab is up."""
        self._options = options

    def up(self) -> Self:
        """Bring the lab up and return it; on failure everything done so far is undone.

        A lab of this prefix that was left behind half started is taken down first; one that is up is an error.
        """
        left_behind = LabState.load(self.prefix)
        if left_behind is not None and left_behind.is_stale():
            take_down(self.prefix)
        with one_interrupt():
            state = LabState.claim(
                self.prefix, self.kind, options=self._options, netns=self._namespaces(), cgroups=self._cgroups()
            )
            try:
                self._bring_up(state)
                state.set_ready()
            except BaseException:
                state.abandon()
                take_down(self.prefix)
                raise
        self.containers = state.containers
        return self

    def down(self) -> None:
        """Take the lab down: every process, namespace, mount, cgroup and file. Nothing to take down is fine."""
        take_down(self.prefix)
        self.containers = {}

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def command(
        self,
        node: str,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout_s: float = 30.0,
        stdin_text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the root namespace of a node, its text output captured.

        With `check` a failing command is a TtraceError, and one that takes more than `timeout_s` seconds always is.
        """
        found = self.nodes[find_host(node, self.nodes, {}).name]
        argv = [*inside(found.netns_path), *argv]
        return run(argv, stdin_text=stdin_text, env=self._environment(found), check=check, timeout_s=timeout_s)

    def popen(
        self,
        host: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: StandardStream = subprocess.DEVNULL,
        stdout: StandardStream = subprocess.PIPE,
        stderr: StandardStream = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a long-running command on a node, with DOCKER_HOST set to its engine, or inside a container.

        The process returned is the command itself, so signals reach it; `env` is added to the environment. Use it in
        a `with`, or close its pipes. Inside a container it keeps the pids of this machine: it must not use `kill`.
        """
        found = find_host(host, self.nodes, self.containers)
        node = found if isinstance(found, Node) else self.nodes[found.node]
        enter = inside(found.netns_path) if isinstance(found, Node) else self._inside_container(found, own_pids=True)
        environment = self._environment(node) if isinstance(found, Node) else self._container_environment()
        return subprocess.Popen(
            [*enter, *argv], env={**environment, **(env or {})}, stdin=stdin, stdout=stdout, stderr=stderr, text=True
        )

    def in_container(
        self,
        host: str,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout_s: float = 30.0,
        stdin_text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside a container, named itself or by its node; else like command()."""
        found = find_host(host, self.nodes, self.containers)
        container = self.container(found.container if isinstance(found, Node) else found.name)
        argv = [*self._inside_container(container, own_pids=False), *argv]
        environment = self._container_environment()
        return run(argv, stdin_text=stdin_text, env=environment, check=check, timeout_s=timeout_s)

    def container(self, name: str) -> Container:
        """The running container called `name`."""
        if name not in self.containers:
            raise TtraceError(f"the lab `{self.prefix}` has no running container `{name}`")
        return self.containers[name]

    def container_pid(self, container: str) -> int:
        """The first process of a container, as this machine's /proc numbers it."""
        return self.container(container).pid

    def status(self) -> list[NodeStatus]:
        """The state of each node; an empty list when the lab is down."""
        state = LabState.load(self.prefix)
        if state is None:
            return []
        condition = "broken"
        if not state.ready and state.starter.is_running():
            condition = "starting"
        elif state.ready and all(process.is_running() for process in state.processes):
            condition = "up"
        return [
            NodeStatus(
                name=node.name,
                netns=node.netns,
                address=node.address,
                docker_host=node.docker_host,
                state=condition,
                containers={
                    container.name: container.address
                    for container in state.containers.values()
                    if container.node == node.name
                },
            )
            for node in self.nodes.values()
        ]

    def _add_nodes(self, *, bridge_nf: bool) -> None:
        """Make the namespaces of the nodes and the wire between them."""
        for node in self.nodes.values():
            add_namespace(node.netns)
        add_wire(*(node.netns for node in self.nodes.values()))
        for node in self.nodes.values():
            ip_batch(node.netns, [f"address add {node.address}/24 dev eth0", "link set eth0 up"])
            set_sysctl(node.netns_path, "net/bridge/bridge-nf-call-iptables", int(bridge_nf))

    def _environment(self, node: Node) -> dict[str, str]:
        environment = dict(os.environ)
        if node.docker_host:
            environment["DOCKER_HOST"] = node.docker_host
        return environment

    def _namespaces(self) -> list[str]:
        """Names of all network namespaces that _bring_up() makes."""
        return [node.netns for node in self.nodes.values()]

    def _cgroups(self) -> list[str]:
        """Names of the topmost cgroups that _bring_up() makes."""
        return []

    @abstractmethod
    def _bring_up(self, state: LabState) -> None:
        """Make everything, and record it in `state` on the way."""

    @abstractmethod
    def _inside_container(self, container: Container, *, own_pids: bool) -> list[str]:
        """The words before a command that put it into a container; with `own_pids` it keeps this machine's pids."""

    @abstractmethod
    def _container_environment(self) -> dict[str, str]:
        """The environment of a command in a container."""
