"""Capture points as both runs call them: an interface by its name, or by what it leads to where that is made anew."""

from collections import Counter

from ..nodes.topology import CapturePoint, Namespace, Role, Topology
from .common_names import CommonNames

Place = tuple[str, str, str]
"""(node, namespace, interface), as both runs call them."""
Space = tuple[str, str]
"""(node, namespace)."""


def common_places(topology: Topology, names: CommonNames, other: Topology, others: CommonNames) -> list[Place]:
    """One for each capture point of `topology`."""
    here, there = _Interfaces(topology, names), _Interfaces(other, others)
    return [_place(topology, point, names, here, there) for point in topology.points]


class _Interfaces:
    """The interfaces of one run that are called by their names, in each namespace."""

    def __init__(self, topology: Topology, names: CommonNames) -> None:
        self.captured: dict[Space, set[str]] = {}
        self.known: dict[Space, set[str]] = {}
        """Captured, or in a snapshot."""
        for space in topology.namespaces:
            of = space_of(names, space)
            self.known.setdefault(of, set()).update(str(link["name"]) for link in space.links.values())
        for point in topology.points:
            space = topology.namespaces[point.namespace]
            if not _is_port_of_container(point, space):
                self.captured.setdefault(space_of(names, space), set()).add(point.interface)
                self.known.setdefault(space_of(names, space), set()).add(point.interface)

    def without(self, other: "_Interfaces", of: Space) -> set[str]:
        """Those that are captured here, and that the other run does not have."""
        return self.captured.get(of, set()) - other.known.get(of, set())


def not_captured_there(
    places: list[Place], other: Topology, others: CommonNames, others_places: list[Place]
) -> set[Place]:
    """Those of the places that the other run did not capture, though it may have them: packets that pass one of these
    take no other way. An interface that the other run does not have is none of them."""
    captured = {place[:2] for place in others_places}
    links: dict[Space, set[str]] = {}
    for space in other.namespaces:
        if space.known:
            links[space_of(others, space)] = {str(link["name"]) for link in space.links.values()}
    return {
        place
        for place in set(places) - set(others_places)
        if place[:2] not in captured or place[:2] not in links or place[2] in links[place[:2]] or " " in place[2]
    }


def space_of(names: CommonNames, space: Namespace) -> tuple[str, str]:
    """(node, namespace), as both runs call them."""
    return names.node(space.node), names.other(space.label)


def _is_port_of_container(point: CapturePoint, space: Namespace) -> bool:
    """Its name is made anew with each container."""
    return point.container is not None and space.container is None and point.role != Role.BRIDGE


def _place(topology: Topology, point: CapturePoint, names: CommonNames, here: _Interfaces, there: _Interfaces) -> Place:
    space = topology.namespaces[point.namespace]
    of = space_of(names, space)
    if point.container is not None and _is_port_of_container(point, space):
        return (*of, f"port of {names.other(point.container)}")
    mine, left = here.without(there, of), there.without(here, of)
    if point.interface not in mine or not left:
        return (*of, point.interface)
    if len(mine) == len(left) == 1:
        return (*of, min(*mine, *left))  # the same word for both, whichever run is asked
    kind = point.kind or point.role.name.lower()
    alike = Counter(one.kind or one.role.name.lower() for one in topology.points if one.namespace == point.namespace)
    return (*of, f"a {kind}" if alike[kind] > 1 else kind)
