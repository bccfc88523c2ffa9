"""Rules as two runs can compare them: their words without handles and numbers, and with names in the place of what is
made anew with each container: addresses and interfaces."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ..nodes.topology import Topology
from .common_names import CommonNames
from .ends import Ends
from .points import Place, space_of

_ADDRESS: Final = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w.])"
)
_PER_ENDPOINT: Final = re.compile(r"\bKUBE-SEP-[A-Z2-7]{16}\b")
"""kube-proxy names a chain by a hash over the address of a pod."""
_WORD: Final = re.compile(r"[\w.@-]+")

Words = Callable[[str], str]


def common_words(topology: Topology, names: CommonNames, ends: Ends, places: list[Place]) -> Words:
    """A function that makes such words of those of a rule or chain of one run."""
    interfaces: dict[str, str] = {}
    for point, place in zip(topology.points, places, strict=True):
        if place[2] != point.interface:
            space = space_of(names, topology.namespaces[point.namespace])
            interfaces[point.interface] = f"<{place[2]} of {space[0]}>"

    def address(match: re.Match[str]) -> str:
        name = ends.name(match[0].lower())
        return f"<{name}>" if name is not None else match[0]

    @lru_cache(maxsize=1 << 14)
    def words(text: str) -> str:
        text = _PER_ENDPOINT.sub("KUBE-SEP-", _ADDRESS.sub(address, text))
        if interfaces:
            text = _WORD.sub(lambda match: interfaces.get(match[0], match[0]), text)
        return text

    return words
