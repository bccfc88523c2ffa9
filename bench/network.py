"""Two network namespaces joined by any number of veth pairs: what is sent at one end is captured at the other."""

import os
from pathlib import Path

from ttrace import lab
from ttrace.lab.interrupts import no_interrupt
from ttrace.lab.namespace import (
    NETNS_DIRECTORY,
    add_namespace,
    delete_namespaces,
    inside,
    ip_batch,
    netns_path,
    set_sysctl,
)

PREFIX = f"ttbench{os.getpid()}"
"""Several benches may run at the same time."""
ENDS = ("tx", "rx")


class Wires:
    """A context manager; everything is gone afterwards."""

    def __init__(self, count):
        self.interfaces = [f"v{number}" for number in range(count)]
        """Their names, at both ends."""

    def inside(self, end):
        """The words before a command at this end."""
        return inside(netns_path(f"{PREFIX}-{end}"))

    def __enter__(self):
        remove_left_behind()
        try:
            self._bring_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with no_interrupt():
            delete_namespaces(f"{PREFIX}-{end}" for end in ENDS)

    def _bring_up(self):
        for end in ENDS:
            add_namespace(f"{PREFIX}-{end}")
            # Nothing but the flood shall come.
            set_sysctl(netns_path(f"{PREFIX}-{end}"), "net/ipv6/conf/default/disable_ipv6", 1)
        tx, rx = (f"{PREFIX}-{end}" for end in ENDS)
        commands = []
        for number, name in enumerate(self.interfaces):
            mac = f"02:77:00:00:{number:02x}"
            commands.append(
                f"link add {name} netns {tx} address {mac}:01 type veth peer name {name} netns {rx} address {mac}:02"
            )
        ip_batch(None, commands)
        ip_batch(tx, [f"link set {name} up" for name in self.interfaces])
        addresses = [f"address add 10.77.{number}.254/24 dev {name}" for number, name in enumerate(self.interfaces)]
        ip_batch(rx, [*addresses, *(f"link set {name} up" for name in self.interfaces)])


def remove_left_behind():
    """The namespaces, and the lab, of a bench that was killed."""
    for prefix in {path.name.partition("-")[0] for path in NETNS_DIRECTORY.glob("ttbench*-*")}:
        pid = prefix.removeprefix("ttbench")
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            lab.down(prefix)
            delete_namespaces(f"{prefix}-{end}" for end in ENDS)


def pinned(cpus):
    """The words that keep a command on these CPUs."""
    return ["taskset", "--cpu-list", ",".join(map(str, sorted(cpus)))]


def split_cpus():
    """(CPUs of the capture, CPUs of the sender): apart from each other, if there are several."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[:-1], cpus[-1:]) if len(cpus) > 1 else (cpus, cpus)
