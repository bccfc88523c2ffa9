"""A rule as people write it: `DOCKER-USER 1`, `nat DOCKER 2`, `slave: inet fw forw handle 7`."""

import re
from dataclasses import dataclass
from typing import Final

from ...errors import UsageError
from ..netfilter.numbers import FAMILIES

_FAMILIES: Final = frozenset(FAMILIES.values())
_NUMBER: Final = re.compile(r"(?:#|rule=?|handle=?)?(\d{1,18})", re.ASCII)
_PROGRAMS: Final = {"iptables": "ip", "ip6tables": "ip6", "nft": "", "iptables-legacy": "ip", "ip6tables-legacy": "ip6"}
_HINT: Final = (
    "write chain and number (`DOCKER-USER 1`), if need be with table and family (`ip nat DOCKER 2`), "
    "a handle (`inet fw forw handle 7`) and the node (`slave: FORWARD 3`)"
)
_MOST_PLACES: Final = 3
"""Words that say where: family, table, chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which rule is asked for; what was not said is "" or None."""

    text: str
    """As it was written."""
    where: str = ""
    """Node, namespace, or both as `NODE/NETNS`."""
    family: str = ""
    table: str = ""
    chain: str = ""
    number: int | None = None
    handle: int | None = None


def read_asked(text: str) -> Asked:
    """Raises UsageError where it cannot be read."""
    where, colon, rest = text.partition(": ")
    where, rest = (where.strip(), rest) if colon else ("", text)
    words = rest.replace(",", " ").split()
    family = ""
    if words and words[0] in _PROGRAMS:
        family, words = _PROGRAMS[words[0]], words[1:]
    if words[:1] == ["-t"] and len(words) > 1:
        words = words[1:]
    words = [word for word in words if word not in ("with", "table", "chain", "-A", "-L", "-I", "-D")]
    if not words or not (number := _NUMBER.fullmatch(words[-1])):
        raise _unreadable(text, "no number of a rule stands at its end")
    value = int(number[1])
    by_handle = words[-1].startswith("handle")
    words = words[:-1]
    while words and words[-1] in ("handle", "rule", "number", "#"):
        by_handle |= words.pop() == "handle"
    if len(words) > _MOST_PLACES:
        raise _unreadable(text, "there are more words than family, table, chain and number")
    if len(words) > 1 and words[0] in _FAMILIES:
        family, words = words[0], words[1:]
    if len(words) == _MOST_PLACES:
        raise _unreadable(text, f"`{words[0]}` is no family of tables")
    if not words and not by_handle:
        raise _unreadable(text, "it names no chain")
    if value == 0:
        raise _unreadable(text, "rules are numbered from 1")
    return Asked(
        text=text, where=where, family=family, table=words[0] if len(words) > 1 else "",
        chain=words[-1] if words else "", number=None if by_handle else value, handle=value if by_handle else None,
    )  # fmt: skip


def _unreadable(text: str, why: str) -> UsageError:
    return UsageError(f"cannot read the rule `{text}`: {why}", _HINT)
