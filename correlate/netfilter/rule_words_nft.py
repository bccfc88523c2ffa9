"""What a rule matches and does, as nft lists it."""

from ipaddress import ip_address
from typing import Final

from .netlink_values import name as name_of
from .netlink_values import number
from .numbers import NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_JUMP, NFT_RETURN
from .rule_expressions import Extension, Match, Other, Statement, Translation, Verdict
from .rule_operands import PROTOCOLS, Operand, value_text
from .xtables_matches import UNKNOWN
from .xtables_targets import translation_end

_VERDICTS: Final = {NF_ACCEPT: "accept", NF_DROP: "drop", NFT_RETURN: "return"}
_FLAGS: Final = {4: "random", 16: "fully-random", 8: "persistent"}
"""NF_NAT_RANGE_* of linux/netfilter/nf_nat.h."""
_REJECTS: Final = {
    "icmp": {0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable",
             9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited"},
    "icmpv6": {0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable"},
    "icmpx": {0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited"},
}  # fmt: skip
_IN_BITS: Final = ("ct state", "ct status", "tcp flags")


def nft_words(said: list[Statement], family: str) -> str:
    """The rule as in `nft list ruleset`, without counters."""
    words = [_words(one, family) for at, one in enumerate(said) if not _is_implied(one, said[at + 1 :])]
    return " ".join(word for word in words if word)


def _is_implied(one: Statement, later: list[Statement]) -> bool:
    """`meta l4proto tcp` goes without saying before `tcp dport 80`, and the IP version before an address."""
    if not isinstance(one, Match) or one.operator != "==" or one.operand.mask or len(one.values) != 1:
        return False
    value = one.values[0][:1]
    if one.operand.form == "protocol":
        words = {b"\1": "icmp ", b"\x3a": "icmpv6 "}.get(value, f"{PROTOCOLS.get(value[0], '')} " if value else " ")
    elif one.operand.form == "nfproto":
        words = {b"\2": "ip ", b"\n": "ip6 "}.get(value, " ")
    else:
        return False
    words = f" {words}"
    return words.strip() != "" and any(words in f" {_asked(other)}" for other in later)


def _asked(one: Statement) -> str:
    """What it is that a statement looks at."""
    if isinstance(one, Translation):
        return " ".join(end.name for end in (*one.addresses, *one.ports))
    return one.operand.name if isinstance(one, Match) else one.name if isinstance(one, Other) else ""


def _words(one: Statement, family: str) -> str:
    if isinstance(one, Match):
        return _match(one)
    if isinstance(one, Verdict):
        jump = {NFT_JUMP: f"jump {one.chain}", NFT_GOTO: f"goto {one.chain}"}.get(one.code, "")
        return _VERDICTS.get(one.code, jump)
    if isinstance(one, Translation):
        to = translation_target(one)
        named = {2: "ip ", 10: "ip6 "}.get(one.family, "") if family == "inet" and one.addresses else ""
        flags = ",".join(word for bit, word in _FLAGS.items() if one.flags & bit)
        return " ".join(word for word in (one.kind, f"{named}to {to}" if to else "", flags) if word)
    if isinstance(one, Extension):
        return f"xt {'target' if one.is_target else 'match'} {one.name}"
    return _other(one, family)


def _match(one: Match) -> str:
    operand, operator = one.operand, one.operator
    inverted = "!= " if operator.startswith("!") and operator != "!=" else ""
    if one.text:
        return f"{operand.name} {inverted}{one.text}"
    values = [value_text(operand, value) for value in one.values]
    if operator.endswith("range"):
        return f"{operand.name} {inverted}{'-'.join(values)}"
    sign = "" if operator == "==" else f"{operator} "
    if not operand.mask or operand.form == "address":
        return f"{operand.name} {sign}{values[0]}"
    mask = value_text(operand, operand.mask) if operand.form in _IN_BITS else f"0x{operand.mask.hex()}"
    if operand.form not in _IN_BITS:
        return f"{operand.name} & {mask} {operator} {values[0]}"
    if operator == "!=" and not any(one.values[0]):
        return f"{operand.name} {mask}"
    value = values[0] if any(one.values[0]) else "0"
    return f"{operand.name} {sign}{value} / {mask}"


def translation_target(one: Translation) -> str:
    """`10.0.0.2:80`, `10.0.0.2-10.0.0.9`, `:80`; "" where the rule names none."""
    return translation_end(*("-".join(_constant(end) for end in ends) for ends in (one.addresses, one.ports)))


def _constant(operand: Operand) -> str:
    """An address or port to translate to, by its size, or what it is looked up by."""
    if operand.name:
        return operand.name
    if operand.size in (4, 16):
        return str(ip_address(operand.value))
    return str(int.from_bytes(operand.value[:8], "big")) if operand.size == 2 else UNKNOWN


def _other(one: Other, family: str) -> str:
    if one.name == "reject":
        return _reject(number(one.values.get(1)), number(one.values.get(2)), family)
    if one.name == "log":
        prefix = name_of(one.values.get(2))
        return f'log prefix "{prefix}"' if prefix else "log"
    if one.name == "meta set":
        return f"meta {_mark(one.values)}"
    if one.name == "notrack" or not one.values:
        return one.name
    return f"{one.name} {UNKNOWN}"


def _mark(values: dict[int, bytes]) -> str:
    if number(values.get(1)) == 3 and len(values.get(2, b"")) == 4:
        return f"mark set 0x{int.from_bytes(values[2], 'little'):08x}"
    return f"{UNKNOWN} set {UNKNOWN}"


def _reject(kind: int, code: int, family: str) -> str:
    """NFT_REJECT_*; the usual answer is not named."""
    if kind == 1:
        return "reject with tcp reset"
    protocol = "icmpx" if kind == 2 else "icmpv6" if family == "ip6" else "icmp"
    word = _REJECTS[protocol].get(code, str(code))
    if word == "port-unreachable" and (protocol == "icmpx" or family in ("ip", "ip6")):
        return "reject"
    return f"reject with {protocol} {word}"
