"""What has to be known of the running kernel to record its drops: where members stand, and what the reasons are called.

From its own description of its types (`machine/btf.py`), for both differ from version to version: reasons came with
Linux 5.17, and the receiving socket as an argument with 6.11.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..machine.btf import Btf
from .drop_layout import REASON_BYTES

TRACEPOINT: Final = "kfree_skb"

_MEMBERS: Final = (
    "sk_buff.dev", "sk_buff.head", "sk_buff.network_header", "sk_buff.tail", "sk_buff.len", "sk_buff.skb_iif",
    "sk_buff.protocol", "sk_buff.sk", "sk_buff._skb_refdst", "net_device.ifindex", "net_device.nd_net.net",
    "net.ns.inum", "sock.__sk_common.skc_net.net", "sock.__sk_common.skc_family", "dst_entry.dev",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTypes:
    """What has to be known of the kernel's types."""

    offsets: dict[str, int]
    """Of each member of `_MEMBERS`."""
    reasons: dict[int, str]
    """Number to name, as the kernel writes them."""
    reason_argument: int
    """Which argument of the tracepoint is the reason, from 0, without the first, which programs do not see."""
    socket_argument: int | None
    """The same for the receiving socket; None before Linux 6.11."""

    @classmethod
    def of(cls, types: Btf) -> "DropTypes":
        """As the kernel describes them. Raises KeyError for what it has not, ValueError for a damaged description."""
        arguments = types.arguments(f"btf_trace_{TRACEPOINT}")[1:]
        if "skb_drop_reason" not in arguments:
            raise KeyError("skb_drop_reason")
        return cls(
            offsets={member: types.offset(member) for member in _MEMBERS},
            reasons=types.enum("skb_drop_reason"),
            reason_argument=arguments.index("skb_drop_reason"),
            socket_argument=arguments.index("sock*") if "sock*" in arguments else None,
        )

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> "DropTypes":
        """Of its fields, as JSON has them. Raises KeyError, TypeError, ValueError for what is none."""
        whole = cls(
            offsets={member: int(kept["offsets"][member]) for member in _MEMBERS},
            reasons={int(number): str(name) for number, name in kept["reasons"].items()},
            reason_argument=int(kept["reason_argument"]),
            socket_argument=None if kept["socket_argument"] is None else int(kept["socket_argument"]),
        )
        if not whole.reasons:
            raise ValueError("no reasons")
        return whole


def name_entries(reasons: dict[int, str]) -> Iterator[tuple[int, bytes]]:
    """(number, text) of each reason that has a name of its own, without the kernel's prefix."""
    for number, name in reasons.items():
        if name not in ("SKB_DROP_REASON_MAX", "SKB_DROP_REASON_SUBSYS_MASK"):
            yield number, name.removeprefix("SKB_DROP_REASON_").removeprefix("SKB_").encode()[: REASON_BYTES - 1]
