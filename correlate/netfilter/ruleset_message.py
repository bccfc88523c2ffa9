"""One message that says what was changed in the rules (NFT_MSG_* of linux/netfilter/nf_tables.h)."""

from typing import Final, NamedTuple

from .netlink_values import by_type, name, number
from .numbers import (
    NFT_DELCHAIN,
    NFT_DELRULE,
    NFT_DELTABLE,
    NFT_NEWGEN,
    NFT_NEWRULE,
    NFTA_CHAIN_NAME,
    NFTA_CHAIN_TABLE,
    NFTA_GEN_ID,
    NFTA_RULE_CHAIN,
    NFTA_RULE_HANDLE,
    NFTA_RULE_TABLE,
    NFTA_TABLE_NAME,
)

RULE_ADDED: Final = NFT_NEWRULE
RULE_REMOVED: Final = NFT_DELRULE
CHAIN_REMOVED: Final = NFT_DELCHAIN
TABLE_REMOVED: Final = NFT_DELTABLE
NEW_GENERATION: Final = NFT_NEWGEN


class RulesetMessage(NamedTuple):
    """One change of the rules, or the generation that closes a commit."""

    time_ns: int
    """Of the message, by the clock of the node; the change was in force before it."""
    namespace: int
    kind: int
    """RULE_ADDED, RULE_REMOVED, CHAIN_REMOVED, TABLE_REMOVED or NEW_GENERATION."""
    family: str
    data: bytes
    """Its attributes."""
    file: int = 0
    """Index of its file."""
    frame: int = 0
    """Wireshark's number of its frame."""

    @property
    def generation(self) -> int | None:
        """Of NEW_GENERATION: its id, where it says one."""
        return number(by_type(self.data).get(NFTA_GEN_ID)) or None

    @property
    def of(self) -> tuple[str, str, str, int]:
        """(family, table, chain, handle) that it is about; chain "" and handle 0 of what has none."""
        found = by_type(self.data)
        if self.kind == TABLE_REMOVED:
            return self.family, name(found.get(NFTA_TABLE_NAME)), "", 0
        if self.kind == CHAIN_REMOVED:
            return self.family, name(found.get(NFTA_CHAIN_TABLE)), name(found.get(NFTA_CHAIN_NAME)), 0
        table, chain = name(found.get(NFTA_RULE_TABLE)), name(found.get(NFTA_RULE_CHAIN))
        return self.family, table, chain, number(found.get(NFTA_RULE_HANDLE))
