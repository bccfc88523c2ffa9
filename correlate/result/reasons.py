"""Why a packet was not delivered: as data, and in the one sentence that is the same in text, JSON, HTML and API."""

from dataclasses import dataclass
from typing import Final

from ..netfilter.rulebook import statement_of
from ..netfilter.rules import Rule
from ..outcomes.kinds import REASON_KIND, Reason

_WORDING: Final = {
    Reason.RULE: "{where}: {rule_place} {did} it: {rule_text}",
    Reason.POLICY: "{where}: the policy of {chain} is drop, and no rule accepted it",
    Reason.HOOK: "{where}: it died inside {hook}, behind {passed}: no later chain of that hook saw it",
    Reason.BEHIND_HOOK: "{where}: the traced rules of {hook} passed it, and it reached no later hook",
    Reason.UNPROVEN: "last seen at {last}, behind {passed}; what became of it then is not known",
    Reason.HANDED_OVER: "{where}: {rule_place} handed it over: {rule_text}; what then became of it is not known",
    Reason.INSIDE: "{last} was the last of it, though every other interface there was captured",
    Reason.WIRE: "{last}, and it did not come in where it was sent",
    Reason.NOT_CAPTURED: "last seen at {last}; what follows is not captured",
    Reason.CAPTURE_LOST: "last seen at {last}; the capture lost packets or messages where it would have been next",
    Reason.CAPTURE_ENDED: "last seen at {last}; the capture did not cover the time after it",
    Reason.TTL: "{last}: its time to live ran out there",
    Reason.SEGMENTED: "{last}: from there on in other segments (GSO or GRO), and all its bytes arrived",
    Reason.ARRIVED: "it arrived at {last}, neither traced nor answered there: what became of it is not known",
    Reason.FILTERED: "last seen at {last}; the capture filter may have hidden it where it would have been next",
    Reason.ICMP: "{last} was the last of it",
    Reason.REFUSED: "it came to {last}, and was refused there",
    Reason.UNANSWERED: "it came to {last}, and nobody ever answered",
    Reason.NOT_DECAPSULATED: "{last}: the datagram around it arrived, and it never left the tunnel",
    Reason.INCOMPLETE: "{last} was the last of it, and a piece of the datagram is missing",
    Reason.ACKNOWLEDGED: "not seen behind {last}, but the other end has it: a later packet acknowledges it",
    Reason.MAYBE_MISSED: "not seen behind {last}, where no file says whether the capture lost packets",
    Reason.EQUAL_ELSEWHERE: "not seen behind {last} as it was, but an equal packet that begins elsewhere may be it",
    Reason.KERNEL_DROP: "{where}: {says}{at}",
    Reason.PROXIED: "not seen behind {last}: a proxy took it, and led another handshake with the other end (SYNPROXY)",
    Reason.ANSWERED: "not seen behind {last}, but what came back then may be the answer to it",
}
"""What is told of each reason; the words in braces are those of `_words`."""
_ANSWERED: Final = "; it was answered with ICMP {says} (path {path})"
"""Behind it, where an ICMP error is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPlace:
    """Where a packet was last seen: at an interface, in a chain, or by what else the kernel said."""

    node: str
    netns: str
    interface: str | None = None
    direction: str | None = None
    """`in`, `out` or `unknown`, of the interface."""
    hook: str | None = None
    family: str | None = None
    table: str | None = None
    chain: str | None = None
    """Of the hook, with its table and family."""
    matched: Rule | None = None
    """The last rule of the chain that matched, where one did."""
    says: str | None = None
    """What the kernel said, where that is all."""
    device: str | None = None
    """The interface that this was at, where it was at one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpError:
    """An ICMP error about a packet."""

    path: int
    """Its own id."""
    says: str
    """`destination unreachable`, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonNote:
    """Why a packet was not delivered."""

    code: Reason
    last: LastPlace
    rule: Rule | None
    """The rule that dropped it, where one did and its place is known."""
    error: IcmpError | None
    """What the network said of it, where it did."""

    @property
    def kind(self) -> str:
        """The word for it in the JSON contract."""
        return REASON_KIND[self.code]

    @property
    def text(self) -> str:
        """The sentence: where it was last seen, and what became of it there."""
        text = _WORDING[self.code].format(**_words(self))
        return text + _ANSWERED.format(says=self.error.says, path=self.error.path) if self.error else text


RULE_CHANGED: Final = "rule changed meanwhile"
"""Instead of its words."""


def rule_place(rule: Rule) -> str:
    """Where a rule stands: `inet fw forw rule 1`."""
    number = f" rule {rule.number}" if rule.number else f" rule with handle {rule.handle}"
    return f"{rule.family} {rule.table} {rule.chain}{number}"


def _words(reason: ReasonNote) -> dict[str, str]:
    """What the wordings are filled with."""
    last, rule = reason.last, reason.rule
    where = last.node if last.netns == "root" else f"{last.netns} on {last.node}"
    # iptables' own words for its chains, which are of the families ip and ip6.
    chain = f"{last.table} {last.chain}" if last.family in ("ip", "ip6") else f"{last.family} {last.table} {last.chain}"
    unknown = RULE_CHANGED if rule is not None and rule.changed else "a rule that is in no snapshot"
    text = rule.text if rule is not None and rule.text else unknown
    return {
        "where": where,
        "last": f"{where}: {last.hook or last.says or f'{last.interface} {last.direction}'}",
        "chain": chain,
        "hook": last.hook or "",
        "passed": rule_place(last.matched) if last.matched is not None else chain,
        "rule_place": rule_place(rule) if rule is not None else chain,
        "rule_text": text,
        "says": last.says or "",
        "at": f" at {last.device}" if last.device else "",
        "did": "rejected" if statement_of(text) == "reject" else "dropped",
    }
