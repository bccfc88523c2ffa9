"""Snapshots of who listens and who is connected, with the processes: of all namespaces, for one look through /proc."""

import time
from collections.abc import Iterator

from .machine.inet_sockets import InetSockets, read_sockets
from .machine.netns import Netns
from .machine.owners import Owners
from .snapshots import Snapshot
from .targets import Targets


def all_socket_snapshots(targets: Targets, owners: Owners, warnings: list[str]) -> list[Snapshot]:
    """`listeners` and `connections` of all namespaces, whose owners are looked for."""
    read = list(_read(targets, warnings))
    if not owners.look_for(inode for _, sockets in read for inode in sockets.inodes()):
        warnings.append("of some sockets it is not recorded whose they are: there are too many processes")
    return [snapshot for netns, sockets in read for snapshot in _snapshots(netns, sockets, owners)]


def socket_snapshots(targets: Targets, owners: Owners, warnings: list[str]) -> Iterator[Snapshot]:
    """The same, one after the other, with the owners that are known."""
    for netns, sockets in _read(targets, warnings):
        yield from _snapshots(netns, sockets, owners)


def _read(targets: Targets, warnings: list[str]) -> Iterator[tuple[Netns, InetSockets]]:
    for target in targets.targets:
        try:
            sockets = read_sockets(target.netns)
        except OSError:  # a kernel without sock_diag
            continue
        if sockets.left_out:
            warnings.append(f"{target.netns.description}: it has so many sockets that some are not recorded")
        yield target.netns, sockets


def _snapshots(netns: Netns, sockets: InetSockets, owners: Owners) -> Iterator[Snapshot]:
    for kind, rows in (("listeners", sockets.listeners), ("connections", sockets.connections)):
        data = [row | _owner(row["inode"], owners) for row in rows]
        yield Snapshot(kind=kind, netns=netns.label, time_ns=time.time_ns(), data=data)


def _owner(inode: object, owners: Owners) -> dict[str, object]:
    owner = owners.of(inode) if isinstance(inode, int) else None
    return {name: value for name, value in owner._asdict().items() if value is not None} if owner else {}
