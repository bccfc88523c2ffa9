"""The kinds of findings: what is said, and whether it keeps somebody from what they wanted."""

from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """How much it matters."""

    FAULT = "fault"
    NOTICE = "notice"


class Kind(StrEnum):
    """What a finding says; the words are those of the JSON contract (docs/findings.md)."""

    RULE_DROP = "rule_drop"
    POLICY_DROP = "policy_drop"
    REJECTED = "rejected"
    KERNEL_DROP = "kernel_drop"
    NO_ROUTE = "no_route"
    REVERSE_PATH = "reverse_path"
    MARTIAN = "martian"
    TTL_EXPIRED = "ttl_expired"
    MTU_EXCEEDED = "mtu_exceeded"
    MTU_BLACK_HOLE = "mtu_black_hole"
    NEIGHBOUR_UNRESOLVED = "neighbour_unresolved"
    WRONG_MAC = "wrong_mac"
    BRIDGE_FILTERED = "bridge_filtered"
    HAIRPIN_OFF = "hairpin_off"
    CONNTRACK_CLASH = "conntrack_clash"
    CONNTRACK_INVALID = "conntrack_invalid"
    REPLY_NOT_TRANSLATED = "reply_not_translated"
    STALE_TRANSLATION = "stale_translation"
    ASYMMETRIC_RETURN = "asymmetric_return"
    WRONG_REPLY_SOURCE = "wrong_reply_source"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    HALF_OPEN = "half_open"
    BACKLOG_FULL = "backlog_full"
    CHECKSUM_WRONG = "checksum_wrong"
    FRAGMENT_MISSING = "fragment_missing"
    REDIRECT_LOOP = "redirect_loop"
    HANDED_TO_PROGRAM = "handed_to_program"
    PROXIED = "proxied"
    BEFORE_NETFILTER = "before_netfilter"
    QUEUE_DROP = "queue_drop"
    WIRE_LOSS = "wire_loss"
    CAPTURE_LOST = "capture_lost"
    RULE_NOT_MATCHED = "rule_not_matched"
    SLOW = "slow"
    FORWARDING_OFF = "forwarding_off"
    """Ours: it had to be forwarded, and the namespace does not do that."""


NOTICES: Final = frozenset(
    {
        Kind.PROXIED,
        Kind.SLOW,
        Kind.HANDED_TO_PROGRAM,
        Kind.BRIDGE_FILTERED,
        Kind.RULE_NOT_MATCHED,
        Kind.CAPTURE_LOST,
        Kind.ASYMMETRIC_RETURN,
    }
)
"""Kinds that are notices, unless a packet died of it."""


MOST_OF_A_KIND: Final = 200
"""Findings of one kind that are told: a scan of all ports has 65,536 of them. Those of most packets are."""
