"""A lab of two real Docker engines, each in the network namespace of its node."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from ..errors import TtraceError
from .base import Lab
from .engine import Engine, EngineOptions, docker_socket, start_engine, wait_for_engine
from .image import IMAGE, START_COMMAND, build_image, find_program
from .namespace import namespace_id, set_sysctl
from .node import ECHO_PORT, HTTP_PORT, PUBLISHED_HTTP_PORT, Container, Node, lay_out_nodes
from .process import ProcessId, listens
from .state import LabState, data_directory, run_directory
from .teardown import remove_tree
from .waiting import wait_until

PUBLISHED = {f"{HTTP_PORT}/tcp": PUBLISHED_HTTP_PORT, f"{ECHO_PORT}/udp": ECHO_PORT}
CONTAINER_PATH = "/bin:/sbin:/usr/bin:/usr/sbin"


class DockerLab(Lab):
    """Two nodes with a dockerd each, and on each one container: web1 on master, web2 on slave.

    A container serves HTTP on port 80 (published as 8080; any path answers `hello from NAME`, /large is 1 MiB) and
    echoes UDP on port 9000 (published as 9000). It has busybox (whose wget crashes on -T: use `timeout`), ping, perl
    and `udp-exchange ADDRESS PORT COUNT`.

    `dockerd` is the daemon to start and `iptables` the program it shall use instead of the default. `overlapping`
    gives both nodes the subnet 172.17.0.0/16. `bridge_nf` is net.bridge.bridge-nf-call-iptables of both nodes.
    """

    kind = "docker"

    def __init__(
        self,
        prefix: str = "ttlab",
        *,
        dockerd: str = "dockerd",
        iptables: str | None = None,
        overlapping: bool = False,
        bridge_nf: bool = True,
        userland_proxy: bool = True,
    ) -> None:
        socket_path = docker_socket(run_directory(prefix) / "{node}")
        nodes = lay_out_nodes(prefix, overlapping=overlapping, docker_host=f"unix://{socket_path}")
        options = {
            "dockerd": dockerd,
            "iptables": iptables,
            "overlapping": overlapping,
            "bridge_nf": bridge_nf,
            "userland_proxy": userland_proxy,
        }
        super().__init__(prefix, nodes, options)

    def container_pid(self, container: str) -> int:
        """The first process of a container, as this machine's /proc numbers it; right after a restart too."""
        node = self.nodes[self.container(container).node]
        pid = int(self._engine(node).inspect(container)["State"]["Pid"])
        if pid == 0:
            raise TtraceError(f"the container `{container}` does not run")
        return pid

    def _cgroups(self) -> list[str]:
        return [self._cgroup(node) for node in self.nodes.values()]

    def _cgroup(self, node: Node) -> str:
        return f"ttrace-lab-{node.netns}"

    def _engine(self, node: Node) -> Engine:
        return Engine(docker_socket(run_directory(self.prefix) / node.name))

    def _bring_up(self, state: LabState) -> None:
        dockerd = str(find_program(str(self._options["dockerd"]), "docker.io"))
        iptables = self._options["iptables"]
        if iptables is not None:
            iptables = str(find_program(iptables, "iptables"))
        remove_tree(data_directory(self.prefix))  # /run is gone after a reboot, this is not
        self._add_nodes(bridge_nf=self._options["bridge_nf"])
        engines = [self._engine_options(node, dockerd, iptables) for node in self.nodes.values()]
        processes = []
        for options in engines:
            processes.append(start_engine(options))
            state.add_process(processes[-1])
        archive = build_image()  # meanwhile the engines start
        nodes = self.nodes.values()
        _in_parallel(
            partial(self._start_node, state, archive, *started)
            for started in zip(nodes, engines, processes, strict=True)
        )

    def _engine_options(self, node: Node, dockerd: str, iptables: str | None) -> EngineOptions:
        return EngineOptions(
            node=node.name,
            netns_path=node.netns_path,
            run_directory=run_directory(self.prefix) / node.name,
            data_directory=data_directory(self.prefix) / node.name,
            bridge_address=node.bridge_address,
            cgroup=self._cgroup(node),
            dockerd=dockerd,
            iptables=iptables,
            userland_proxy=self._options["userland_proxy"],
        )

    def _start_node(
        self, state: LabState, archive: bytes, node: Node, options: EngineOptions, process: ProcessId
    ) -> None:
        """Wait for the engine of a node and run its container until it serves."""
        engine = wait_for_engine(options, process)
        # Again: dockerd may have its own idea of it.
        set_sysctl(node.netns_path, "net/bridge/bridge-nf-call-iptables", int(self._options["bridge_nf"]))
        engine.import_image(archive, IMAGE)
        pid = engine.start_container(node.container, IMAGE, START_COMMAND, PUBLISHED)
        path = f"/proc/{pid}/ns/net"
        container = Container(node.container, node.name, node.container_address, path, pid)
        state.add_container(container, namespace_id(path))
        address = engine.inspect(node.container)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        if address != node.container_address:
            raise TtraceError(f"Docker gave `{node.container}` the address {address}, not {node.container_address}")
        for protocol, port in (("tcp", HTTP_PORT), ("udp", ECHO_PORT)):
            serves = partial(listens, pid, protocol, port)
            wait_until(serves, 10.0, f"`{node.container}` listens on {protocol} port {port}")

    def _inside_container(self, container: Container, *, own_pids: bool) -> list[str]:
        pid = self.container_pid(container.name)
        enter = ["nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net"]
        return enter if own_pids else [*enter, "--pid"]

    def _container_environment(self) -> dict[str, str]:
        return {"PATH": CONTAINER_PATH, "HOME": "/root"}


def _in_parallel(tasks: Iterable[Callable[[], None]]) -> None:
    """Run all tasks at once, wait for all, then raise the first failure.

    When interrupted it does not wait: the tasks fail by themselves as soon as their engine is killed.
    """
    pool = ThreadPoolExecutor()
    try:
        futures = [pool.submit(task) for task in tasks]
        wait(futures)
    finally:
        pool.shutdown(wait=False)
    for future in futures:
        future.result()
