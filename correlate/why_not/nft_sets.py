"""What is in sets and maps, as nft lists it."""

import re
from dataclasses import dataclass
from typing import Final

from .conditions import Fact, Wanted
from .values import value_of

_ELEMENTS: Final = re.compile(r"elements\s*=\s*\{(.*)\}\s*\}\s*$", re.DOTALL)
_MOST_SHOWN: Final = 4
_QUOTED: Final = re.compile(r'"[^"]*"')
_COMMENT: Final = re.compile(r'\s+comment\s+"[^"]*"')
_BEHIND_KEY: Final = re.compile(r"\s+(timeout|expires|counter|limit|quota|ct count|last|:)(\s.*)?$", re.DOTALL)
_CHANGES: Final = re.compile(r"\b(?:flags\s[^\n]*\b(?:dynamic|timeout)\b|timeout\s|size\s+\d+\s*\n\s*flags\s+dynamic)")


@dataclass(frozen=True, slots=True)
class Elements:
    """The keys of a set or map, in nft's words."""

    keys: tuple[str, ...]
    changes: bool = False
    """Packets or time change it."""

    @property
    def shown(self) -> str:
        """`(10.0.0.0/8, 203.0.113.7)`, the first of many."""
        more = f" and {len(self.keys) - _MOST_SHOWN:,} more" if len(self.keys) > _MOST_SHOWN else ""
        return f"({', '.join(self.keys[:_MOST_SHOWN])}{more})" if self.keys else "(empty)"


def inline_keys(text: str) -> Elements | None:
    """Of what stands in braces; None where it is not told (`…`)."""
    return None if "…" in text else Elements(_keys(text))


def listed(block: str) -> Elements:
    """Of a set or map as `nft list` shows it, from its first line to its last."""
    found = _ELEMENTS.search(block)
    return Elements(_keys(found[1]) if found else (), changes=bool(_CHANGES.search(block)))


def _keys(text: str) -> tuple[str, ...]:
    """What stands between commas, without what belongs to the element."""
    plain = _COMMENT.sub("", text)
    names: list[str] = []

    def hide(name: re.Match[str]) -> str:
        names.append(name[0])
        return f"\0{len(names) - 1}\0"

    hidden = _QUOTED.sub(hide, plain)
    keys = [_BEHIND_KEY.sub("", one.strip()) for one in hidden.split(",")]
    return tuple(re.sub(r"\0(\d+)\0", lambda found: names[int(found[1])], key) for key in keys if key)


def elements_of(
    facts: tuple[Fact, ...], elements: Elements, icmp_names: dict[str, int]
) -> tuple[tuple[Wanted, ...], ...] | None:
    """The keys as what these facts may be; None where one is not understood."""
    found = []
    for key in elements.keys:
        parts = re.split(r"\s+\.\s+", key)
        if len(parts) != len(facts):
            if key != "*":
                return None
            parts = ["*"] * len(facts)
        wanted = tuple(value_of(fact, part, icmp_names) for fact, part in zip(facts, parts, strict=True))
        if None in wanted:
            return None
        found.append(tuple(one for one in wanted if one is not None))
    return tuple(found)
