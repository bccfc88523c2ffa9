"""What a rule of iptables-nft matches and does, as a line of iptables-save."""

from typing import Final

from .numbers import NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_JUMP, NFT_RETURN
from .rule_expressions import Extension, Match, Other, Statement, Translation, Verdict
from .rule_operands import value_text
from .rule_words_nft import translation_target
from .xtables_matches import UNKNOWN, match_words
from .xtables_targets import target_words

_OPTIONS: Final = {
    "ip saddr": "-s", "ip6 saddr": "-s", "ip daddr": "-d", "ip6 daddr": "-d", "iifname": "-i", "oifname": "-o",
    "meta l4proto": "-p", "ip protocol": "-p", "ip6 nexthdr": "-p",
}  # fmt: skip
_ORDER: Final = ("-s", "-d", "-i", "-o", "-p")
"""What iptables-save writes first, and in which order."""
_VERDICTS: Final = {NF_ACCEPT: "-j ACCEPT", NF_DROP: "-j DROP", NFT_RETURN: "-j RETURN"}
_TRANSLATIONS: Final = {
    "dnat": ("DNAT", "--to-destination"), "snat": ("SNAT", "--to-source"), "masquerade": ("MASQUERADE", "--to-ports"),
    "redirect": ("REDIRECT", "--to-ports"),
}  # fmt: skip


def iptables_words(said: list[Statement], family: str, chain: str) -> str:
    """The rule as `-A CHAIN …`."""
    words = [_words(one, family) for one in said]
    first = sorted((w for w in words if _option(w) in _ORDER), key=lambda w: _ORDER.index(_option(w)))
    others = [w for w in words if _option(w) not in _ORDER]
    # Ports of one rule are options of one match.
    for at in range(len(others) - 1, 0, -1):
        for match in ("-m tcp ", "-m udp "):
            if others[at].startswith(match) and others[at - 1].startswith(match):
                others[at - 1 : at + 1] = [others[at - 1] + " " + others[at].removeprefix(match)]
    return " ".join(word for word in [f"-A {chain}", *first, *others] if word)


def _option(words: str) -> str:
    return words.removeprefix("! ").split(" ", 1)[0]


def _words(one: Statement, family: str) -> str:
    if isinstance(one, Extension):
        if one.is_target:
            return f"-j {target_words(family, one.name, one.revision, one.info)}"
        return match_words(one.name, one.revision, one.info)
    if isinstance(one, Verdict):
        jump = {NFT_JUMP: f"-j {one.chain}", NFT_GOTO: f"-g {one.chain}"}.get(one.code, "")
        return _VERDICTS.get(one.code, jump)
    if isinstance(one, Translation):
        target, option = _TRANSLATIONS[one.kind]
        to = translation_target(one)
        return (
            f"-j {target} {option} {to.removeprefix(':') if option == '--to-ports' else to}" if to else f"-j {target}"
        )
    if isinstance(one, Other):
        target = {"reject": "-j REJECT", "log": "-j LOG", "limit": "-m limit"}.get(one.name, "")
        return f"{target} {UNKNOWN}".lstrip()
    return _match(one)


def _match(one: Match) -> str:
    if one.operator not in ("==", "!=", "range", "!range") or not all(one.values):
        return UNKNOWN
    inverted = "! " if one.operator.startswith("!") else ""
    values = [value_text(one.operand, value) for value in one.values]
    name = one.operand.name
    if name in _OPTIONS and len(values) == 1:
        option, value = _OPTIONS[name], values[0]
        if option in ("-s", "-d") and "/" not in value:
            value += f"/{8 * len(one.values[0])}"
        # A name that is compared in part: nft's sign for it, and iptables'.
        value = value.removeprefix('"').removesuffix('"')
        return f"{inverted}{option} {value[:-1] + '+' if value.endswith('*') else value}"
    if name == "meta mark" and not one.operand.mask:
        return f"-m mark {inverted}--mark {int.from_bytes(one.values[0], 'little'):#x}"
    if name == "tcp flags" and one.operand.mask:
        mask, flags = (value_text(one.operand, bits).upper() for bits in (one.operand.mask, *one.values))
        return f"-m tcp {inverted}--tcp-flags {mask} {flags if any(one.values[0]) else 'NONE'}"
    protocol, _, port = name.partition(" ")
    if port in ("sport", "dport") and protocol in ("tcp", "udp", "th"):
        return f"-m {protocol} {inverted}--{port} {':'.join(values)}"
    return UNKNOWN
