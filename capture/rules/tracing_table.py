"""The tracing table: the only thing ttrace adds to a ruleset, and gone when its socket closes, even by kill -9.

`table inet ttrace { flags owner; … }` is owned by the netlink socket of the libnftables context that made it. Its first
chains (prerouting and output, priority -350: after defragmentation, before raw) mark packets for tracing; its last
chains (priority 350, empty) are there because a trace event of theirs shows each packet's header after every rewrite.

Tracing costs: one traced packet makes 7 to 20 events, and a node handles about 150,000 events a second in all. So it is
limited, by three token buckets shared by both first chains:

- `connections`: TCP packets with SYN, FIN or RST. A connection's NAT is decided by its first packet, and later packets
  inherit it, so these must be traced even while a bulk transfer has used up everything else: they have half the limit.
- `streams`: all other TCP packets, a quarter. They never take anything from the first bucket.
- `datagrams`: what is not TCP, a quarter. Here a first packet can't be told from a later one before conntrack has seen
  it, but at least a TCP transfer can't starve it.

Each bucket holds one second's worth, so short bursts are traced completely.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import TtraceError
from ..machine.netns import Netns
from ..machine.programs import forget_plugins
from ..sockets.numbers import FREEZE_CHAIN, NETLINK_NETFILTER, TRACING_TABLE

if TYPE_CHECKING:
    from nftables import Nftables

TABLE = TRACING_TABLE
FIRST_PRIORITY = -350
LAST_PRIORITY = 350
FREEZE_PRIORITY = -199
"""Behind conntrack (-200), and before any translation: its state and the original addresses can both be matched."""
_FREEZE_RATE = "limit rate 4/second burst 4 packets"
"""A match that everything fits must not trace everything: it is enough to know that it was there."""
_FIRST_HOOKS = ("prerouting", "output")
_LAST_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def load_nftables() -> "Nftables":
    """A libnftables context whose netlink socket lives in the thread's namespace. Raises TtraceError if missing."""
    try:
        from nftables import Nftables
    except ImportError as error:
        raise TtraceError("the nftables bindings are missing", hint="`pip install pip-nftables`") from error
    forget_plugins()
    try:
        return Nftables()
    except OSError as error:
        raise TtraceError(
            "libnftables is not installed", hint="`apt install libnftables1`, or capture with `--no-trace`"
        ) from error


def ask_nft(context: "Nftables", command: str) -> tuple[int, str, str, bool]:
    """(Exit code, output, error, whether the output is UTF-8) of an nft command. What is not is escaped: names and
    comments in rules may be any bytes, and nftables' own call raises then."""
    code, output, error = context.cmd(os.fsencode(command))
    text = output.decode(errors="backslashreplace")
    return code, text, error.decode(errors="backslashreplace"), text.encode() == output


class TracingTable:
    """The table in one namespace, from `load` to `close`."""

    def __init__(self, netns: Netns) -> None:
        """Open the libnftables context inside `netns`; loads nothing yet."""
        self.netns = netns
        with netns.entered():
            self._context = load_nftables()

    def load(self, *, match: str | None, limit: int, trace: bool = True, freeze_on: Sequence[str] = ()) -> None:
        """Add the table; from now on packets are traced. Raises TtraceError with nft's message or the owner's pid.

        `freeze_on`: matches of packets of which a trace message is to tell, also without `trace`.
        """
        text = table_text(match=match, limit=limit, trace=trace, freeze_on=freeze_on)
        code, _, error, _ = ask_nft(self._context, text)
        if code == 0:
            return
        reason = _first_line(error)
        if "not supported" in error and self._table_is_there():
            raise TtraceError(
                f"{self.netns.description} has a table `inet {TABLE}` that is not a capture's",
                hint=f"remove it with `nft delete table inet {TABLE}`, or capture with `--no-trace`",
            )
        if "Operation not permitted" in error or "File exists" in error:
            raise TtraceError(
                f"cannot trace in {self.netns.description}: {reason}",
                hint=self._owner_hint() or "it needs root (CAP_NET_ADMIN); or capture with `--no-trace`",
            )
        # nft does not say which line it means: all else may be right.
        if freeze_on and ask_nft(self._context, table_text(match=match, limit=limit, trace=trace))[0] == 0:
            raise TtraceError(
                f"--freeze-on `{'; '.join(freeze_on)}`: {reason}",
                hint="it is `drop`, `reset` or an nft match, for example `tcp dport 8080 ct state invalid`",
            )
        if match:
            raise TtraceError(
                f"--trace-match `{match}`: {reason}", hint="it is an nft match, for example `tcp dport 8080`"
            )
        raise TtraceError(
            f"cannot load the tracing table in {self.netns.description}: {reason}",
            hint="`ttrace doctor` says what the kernel lacks; or capture with `--no-trace`",
        )

    def close(self) -> None:
        """Close the socket that owns the table; the kernel then removes it."""
        del self._context

    def _table_is_there(self) -> bool:
        _, text, _, _ = ask_nft(self._context, "list tables")
        return f"table inet {TABLE}" in text.splitlines()

    def _owner_hint(self) -> str | None:
        """Who owns the table that is in the way, if there is one."""
        if not self._table_is_there():
            return None
        with self.netns.entered():
            owner = _other_ttrace()
        who = f" (pid {owner})" if owner else ""
        return f"another ttrace capture{who} is tracing in this namespace: end it, or capture with `--no-trace`"


def table_text(*, match: str | None, limit: int, trace: bool = True, freeze_on: Sequence[str] = ()) -> str:
    """The table as nft text. `match` alternatives are separated by `;`; `limit` is packets per second, 0 for none."""
    lines = [f"table inet {TABLE} {{", "  flags owner"]
    if trace:
        for name, rate in _buckets(limit).items():
            lines += [f"  limit {name} {{", f"    rate {rate}/second burst {rate} packets", "  }"]
        rules = [f"    {match_text} {rule}" for match_text in split_match(match) for rule in _mark_rules(limit)]
        for hook in _FIRST_HOOKS:
            lines += [f"  chain {hook}_first {{", _hook_line(hook, FIRST_PRIORITY), *rules, "  }"]
        for hook in _LAST_HOOKS:
            lines += [f"  chain {hook}_last {{", _hook_line(hook, LAST_PRIORITY), "  }"]
    if freeze_on:
        rules = [f"    {text} {_FREEZE_RATE} meta nftrace set 1" for text in freeze_on]
        for hook in _FIRST_HOOKS:
            lines += [f"  chain {FREEZE_CHAIN}_{hook} {{", _hook_line(hook, FREEZE_PRIORITY), *rules, "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def split_match(match: str | None, option: str = "--trace-match") -> list[str]:
    """The alternatives of a match, [""] for none. Raises TtraceError if it would break out of its rule."""
    if match is None:
        return [""]
    depth = 0
    for character in match:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0 or character in '\n#"':
            break
    if depth != 0 or any(character in match for character in '\n#"'):
        raise TtraceError(f"{option} `{match}`: not a plain nft match", hint="for example `tcp dport 8080`")
    alternatives = [part.strip() for part in match.split(";") if part.strip()]
    if not alternatives:
        raise TtraceError(f"{option} is empty", hint="for example `tcp dport 8080`")
    return alternatives


def _buckets(limit: int) -> dict[str, int]:
    """Name and rate (packets per second) of the token buckets; none without a limit."""
    if limit <= 0:
        return {}
    quarter = max(1, limit // 4)
    return {"connections": max(1, limit - 2 * quarter), "streams": quarter, "datagrams": quarter}


def _mark_rules(limit: int) -> list[str]:
    # `accept` ends only this chain, and saves the event that its policy would make.
    if limit <= 0:
        return ["meta nftrace set 1 accept"]
    # Bits 0-2 of byte 13 of the TCP header are FIN, SYN and RST. Written with numbers, since nft refuses `tcp flags`
    # behind a match such as `udp dport 53` ("conflicting protocols") where this just never matches.
    is_tcp, flags = "meta l4proto & 255 == 6", "@th,104,8 & 7"
    return [
        f'{is_tcp} {flags} != 0 limit name "connections" meta nftrace set 1 accept',
        f'{is_tcp} {flags} == 0 limit name "streams" meta nftrace set 1 accept',
        'meta l4proto & 255 != 6 limit name "datagrams" meta nftrace set 1 accept',
    ]


def _hook_line(hook: str, priority: int) -> str:
    return f"    type filter hook {hook} priority {priority}; policy accept;"


_CAPTURE_COMMAND = re.compile(rb"(?:ttrace|ttrace\.cli[^\0]*)\0capture\0|ttrace\.capture")
"""The words of a capture's command line; a path with `ttrace` in it, such as a lab's, is none."""


def _other_ttrace() -> int | None:
    """Process id of another ttrace that listens to netfilter in the thread's namespace.

    The port id of a process's first netlink socket is its process id: that is how the table in /proc names it.
    """
    for line in Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]:
        _, protocol, port, *_ = line.split()
        if protocol != str(NETLINK_NETFILTER) or port == str(os.getpid()):
            continue
        try:
            command = Path("/proc", port, "cmdline").read_bytes()
        except OSError:
            continue
        if _CAPTURE_COMMAND.search(command):
            return int(port)
    return None


def _first_line(error: str) -> str:
    """nft's message without its position and its copy of the input."""
    line = error.strip().splitlines()[0] if error.strip() else "unknown error"
    return re.sub(r"^.*?Error: ", "", line)
