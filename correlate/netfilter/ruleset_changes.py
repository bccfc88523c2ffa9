"""What was changed in the rules, as the kernel announces it (NFT_MSG_* of linux/netfilter/nf_tables.h).

The messages of one commit come together, behind it, and a new generation closes them.
"""

from typing import Final

from .messages import RawMessages
from .numbers import FAMILIES, NFT_DESTROYCHAIN, NFT_DESTROYRULE, NFT_DESTROYTABLE
from .ruleset_message import (
    CHAIN_REMOVED,
    NEW_GENERATION,
    RULE_ADDED,
    RULE_REMOVED,
    TABLE_REMOVED,
    RulesetMessage,
)

_SAME_AS: Final = {
    NFT_DESTROYTABLE: TABLE_REMOVED,
    NFT_DESTROYCHAIN: CHAIN_REMOVED,
    NFT_DESTROYRULE: RULE_REMOVED,
}
TYPES = (NEW_GENERATION, RULE_ADDED, RULE_REMOVED, CHAIN_REMOVED, TABLE_REMOVED, *_SAME_AS)


def ruleset_changes(raw: RawMessages) -> list[RulesetMessage]:
    """Each of them, in order."""
    found = []
    for row in raw.rows.take(raw.which):
        kind = int(row["type"])
        found.append(
            RulesetMessage(
                time_ns=int(row["time_ns"]), namespace=int(row["namespace"]), kind=_SAME_AS.get(kind, kind),
                family=FAMILIES.get(int(row["family"]), str(int(row["family"]))),
                data=bytes(raw.data[row["start"] : row["end"]]), file=raw.file, frame=int(row["frame"]),
            )
        )  # fmt: skip
    return found
