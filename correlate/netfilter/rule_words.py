"""A rule that the kernel's messages show, in the words of the tool that made it: iptables-save or nft.

What is not decoded, such as the elements of a set, which are told elsewhere, is `…`.
"""

from .rule_expressions import Extension, statements
from .rule_words_iptables import iptables_words
from .rule_words_nft import nft_words

_TABLES = ("raw", "mangle", "nat", "filter", "security")
"""That iptables has; nft's users name theirs as they like."""


def words_of(family: str, table: str, chain: str, rule: bytes, *, native: bool | None = None) -> str:
    """The rule from the attributes of its message (NFTA_RULE_*); `native`: whether the others of its table are nft's,
    None where there are none."""
    said = statements(rule, family)
    by_iptables = native is False or (native is None and family in ("ip", "ip6") and table in _TABLES)
    if by_iptables or any(isinstance(one, Extension) for one in said):
        return iptables_words(said, family, chain)
    return nft_words(said, family)
