"""One file with the captures of several nodes (mergecap, or one written behind the other) -> a capture for each.

Such a file names one node at most. But each interface of a ttrace capture says which namespace it is of, by label and
inode, and its descriptions come capture by capture. What belongs to one node becomes a capture of the same records, so
that frames keep their numbers, in which the interfaces of the others are nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ...errors import TtraceError
from ...pcapng.chunks import ChunkedFile, chunks_of_interfaces
from ...pcapng.read import CaptureFile, Interface, without_interfaces
from .snapshots import read_snapshots
from .sources import Source

_ROOT: Final = "root"


@dataclass(slots=True)
class _Capture:
    """What was one capture before, or comes from the same node: some of the interfaces of a file."""

    section: int
    interfaces: list[int] = field(default_factory=list)
    inodes: dict[str, int] = field(default_factory=dict)
    """By the label of the namespace."""
    links: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """(namespace, interface, index) to MAC."""
    singles: set[tuple[str, str]] = field(default_factory=set)
    """(what, namespace) of the interfaces of which a capture has one."""
    name: str | None = None
    boot_id: str | None = None
    plain: bool = False
    """Of other tools: its interfaces say nothing of themselves."""

    def add(self, number: int, interface: Interface) -> None:
        """One more interface."""
        facts = interface.facts
        self.interfaces.append(number)
        label = facts.get("netns") or _ROOT
        if "inode" in facts:
            self.inodes.setdefault(label, facts["inode"])
        if facts.get("what") in ("netlink", "drops", "snapshot"):
            self.singles.add((facts["what"], label))
        if interface.mac is not None and facts.get("ifindex"):
            self.links[(label, interface.name, facts["ifindex"])] = interface.mac

    def takes(self, interface: Interface) -> bool:
        """Whether the next interface can be of the same capture: those for snapshots come last, and what there is one
        of is not there yet."""
        label, what = interface.facts.get("netns") or _ROOT, interface.facts.get("what")
        return (
            self.section == interface.section
            and self.plain == _is_plain(interface)
            and self.knows(interface)
            and (what, label) not in self.singles
            and (self.plain or not any(single == "snapshot" for single, _ in self.singles))
        )

    def knows(self, interface: Interface) -> bool:
        """Whether the namespace of an interface can be the one that has its label here."""
        label, inode = interface.facts.get("netns") or _ROOT, interface.facts.get("inode")
        return inode is None or self.inodes.get(label, inode) == inode

    def is_late(self) -> bool:
        """It has nothing but capture points: interfaces that appeared while one of the others ran."""
        return not self.plain and not self.singles

    def same_node(self, other: "_Capture") -> bool:
        """Whether both are of one node, as far as they say."""
        if self.plain or other.plain:
            return self.plain and other.plain
        if self.boot_id is not None and other.boot_id is not None:
            return (self.name, self.boot_id) == (other.name, other.boot_id)
        if self.name is not None and other.name is not None and self.name != other.name:
            return False
        shared = self.inodes.keys() & other.inodes.keys()
        return (
            bool(shared)
            and all(self.inodes[label] == other.inodes[label] for label in shared)
            and all(other.links.get(link, mac) == mac for link, mac in self.links.items())
        )

    def absorb(self, other: "_Capture") -> None:
        """The other is of the same node."""
        self.interfaces += other.interfaces
        self.inodes = other.inodes | self.inodes
        self.links = other.links | self.links
        self.singles |= other.singles
        self.name, self.boot_id = self.name or other.name, self.boot_id or other.boot_id


def take_apart(captures: Sequence[CaptureFile], sources: Sequence[Source]) -> tuple[list[CaptureFile], list[Source]]:
    """The captures, those of several nodes taken apart, with a source for each. Raises TtraceError where that cannot be
    done."""
    found = [(c, s) for capture, source in zip(captures, sources, strict=True) for c, s in _apart(capture, source)]
    return [capture for capture, _ in found], [source for _, source in found]


def take_files_apart(files: Sequence[ChunkedFile], sources: Sequence[Source]) -> tuple[list[ChunkedFile], list[Source]]:
    """The same for files that are read in pieces."""
    found = []
    for chunked, source in zip(files, sources, strict=True):
        for capture, named in _apart(chunked.capture, source):
            found.append((chunked if capture is chunked.capture else chunks_of_interfaces(chunked, capture), named))
    return [chunked for chunked, _ in found], [source for _, source in found]


def _apart(capture: CaptureFile, source: Source) -> Iterator[tuple[CaptureFile, Source]]:
    if all(map(_is_plain, capture.interfaces)):
        yield capture, source
        return
    nodes = _nodes_of(capture, source)
    if len(nodes) == 1:
        name = source.node or capture.facts.get("node") or nodes[0].name
        yield capture, replace(source, node=name)
        return
    names = _names(nodes, source)
    if source.node is not None:
        raise TtraceError(
            f"`{source.path}` holds the captures of {len(nodes)} nodes ({', '.join(names)}), and is called one: "
            f"`{source.node}`",
            f"leave out `{source.node}=`, or give the captures as they were before they were merged",
        )
    everything = set(range(len(capture.interfaces)))
    for number, (node, name) in enumerate(zip(nodes, names, strict=True)):
        mine = without_interfaces(capture, everything - set(node.interfaces))
        mine.facts = capture.facts | {"node": name}
        mine.malformed = 0 if number else capture.malformed
        yield mine, replace(source, node=name)


def _is_plain(interface: Interface) -> bool:
    """Another tool described it (`any`: pcapng/cooked.py)."""
    return interface.facts.get("what") in (None, "any") or bool(interface.facts.get("cooked"))


def _names(nodes: Sequence[_Capture], source: Source) -> list[str]:
    """A name for each, and for each another: its own where it says one."""
    names: list[str] = []
    for number, node in enumerate(nodes, 1):
        name = node.name or (source.stem if node.plain else f"{source.stem}-{number}")
        again = 2
        while name in names:
            name = f"{node.name or source.stem}-{again}"
            again += 1
        names.append(name)
    return names


def _nodes_of(capture: CaptureFile, source: Source) -> list[_Capture]:
    """The nodes of a file, each with its interfaces."""
    found = list(_captures_within(capture))
    if len(found) > 1 or not capture.facts:
        _identify(capture, found, source)
    nodes: list[_Capture] = []
    for one in found:
        if one.is_late() and nodes:
            others = [node for node in nodes if not node.plain]
            same = [node for node in others if one.inodes.items() <= node.inodes.items()]
            same = others if not same and len(others) == 1 else same
        else:
            same = [node for node in nodes if node.same_node(one)]
        if len(same) > 1 or (one.is_late() and nodes and not same and _said(found)):
            raise TtraceError(
                f"`{source.path}` holds the captures of several nodes, and does not say of which of them "
                f"`{capture.interfaces[one.interfaces[0]].name}` is (interface {one.interfaces[0]})",
                "give the captures as they were before they were merged, one by one",
            )
        if same:
            same[0].absorb(one)
        else:
            nodes.append(one)
    return nodes


def _said(found: Sequence[_Capture]) -> bool:
    """Whether captures can be told from interfaces that came late: these have one interface for snapshots each."""
    return any(not one.is_late() for one in found)


def _captures_within(capture: CaptureFile) -> Iterator[_Capture]:
    """What was one capture before each, in the order in which their interfaces are described."""
    if _may_be_one(capture.interfaces):
        for plain in (False, True):
            one = _Capture(section=capture.interfaces[0].section, plain=plain)
            for number, interface in enumerate(capture.interfaces):
                if _is_plain(interface) == plain:
                    one.add(number, interface)
            if one.interfaces:
                yield one
        return
    current: _Capture | None = None
    for number, interface in enumerate(capture.interfaces):
        if current is None or not current.takes(interface):
            if current is not None:
                yield current
            current = _Capture(section=interface.section, plain=_is_plain(interface))
        current.add(number, interface)
    if current is not None:
        yield current


def _may_be_one(interfaces: Sequence[Interface]) -> bool:
    """Nothing is there twice of which a capture has one: interfaces for messages and snapshots, inodes of a label."""
    whole = _Capture(section=interfaces[0].section)
    for number, interface in enumerate(interfaces):
        if not _is_plain(interface):
            label, facts = interface.facts.get("netns") or _ROOT, interface.facts
            again = (facts.get("what"), label) in whole.singles or whole.section != interface.section
            if again or not whole.knows(interface):
                return False
            whole.add(number, interface)
    return True


def _identify(capture: CaptureFile, found: Sequence[_Capture], source: Source) -> None:
    """Which nodes they are, by their snapshots; else by the header of their section, where all of it is of one. Raises
    TtraceError where the snapshots of several stand at one interface."""
    sections = [one.section for one in found if not one.is_late()]
    snapshots = read_snapshots(capture)
    of_node = [
        (interface, (data["name"] if isinstance(data.get("name"), str) else None, data.get("boot_id")))
        for (_, key, data), interface in zip(snapshots.found, snapshots.interfaces, strict=True)
        if key.netns is None and key.kind == "node"
    ]
    for one in found:
        facts = capture.sections[one.section] if one.section < len(capture.sections) else {}
        if sections.count(one.section) == 1 and not one.plain:
            one.name = facts.get("node")
        said = {who for interface, who in of_node if interface in one.interfaces}
        if any(len({who[part] for who in said} - {None}) > 1 for part in range(2)):
            names = ", ".join(sorted(str(name) for name, _ in said))
            raise TtraceError(
                f"`{source.path}` holds the captures of several nodes ({names}), merged so that nothing says which of "
                "them an interface is of",
                "give the captures as they were before they were merged, one by one",
            )
        for name, boot_id in said:  # what one of them leaves out says nothing against the others
            one.name, one.boot_id = name or one.name, boot_id or one.boot_id
