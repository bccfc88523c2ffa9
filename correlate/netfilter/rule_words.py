"""A rule that the kernel's messages show, in the words of the tool that made it: iptables-save or nft.

What is not decoded, such as the elements of a set, which are told elsewhere, is `…`.
"""

import re
from functools import lru_cache
from typing import Final

from .netlink_values import by_type
from .numbers import NFTA_RULE_EXPRESSIONS
from .rule_expressions import Extension, statements
from .rule_words_iptables import iptables_words
from .rule_words_nft import nft_words

_TABLES = ("raw", "mangle", "nat", "filter", "security")
"""That iptables has; nft's users name theirs as they like."""
_COUNTS: Final = 24
"""Bytes of what a counter has counted, which is all that differs where a rule comes again."""
_COUNTED: Final = re.compile(rb"(counter\0\x1c\0\x02\0).{%d}" % _COUNTS, re.DOTALL)


def words_of(family: str, table: str, chain: str, rule: bytes, *, native: bool | None = None) -> str:
    """The rule from the attributes of its message (NFTA_RULE_*); `native`: whether the others of its table are nft's,
    None where there are none."""
    expressions = by_type(rule).get(NFTA_RULE_EXPRESSIONS, b"")
    return _words(family, table, chain, _COUNTED.sub(rb"\1" + bytes(_COUNTS), expressions), native)


@lru_cache(maxsize=10_000)
def _words(family: str, table: str, chain: str, expressions: bytes, native: bool | None) -> str:
    """Programs that write all their rules anew write the same ones again and again."""
    said = statements(expressions, family)
    by_iptables = native is False or (native is None and family in ("ip", "ip6") and table in _TABLES)
    if by_iptables or any(isinstance(one, Extension) for one in said):
        return iptables_words(said, family, chain)
    return nft_words(said, family)
