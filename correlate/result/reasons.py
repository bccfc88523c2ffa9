"""The one sentence that says why a packet was not delivered: the same in text, JSON, HTML and API."""

import numpy as np
import numpy.typing as npt

from ..netfilter.rules import Rule
from ..outcomes.kinds import OUTCOMES, Outcome, Reason
from .values import ChainHop, Hop


def connection_outcome(outcomes: npt.NDArray[np.uint8]) -> str:
    """Dropped or lost if any path was; else delivered if any was."""
    for outcome in (Outcome.DROPPED, Outcome.LOST, Outcome.DELIVERED):
        if (outcomes == outcome).any():
            return OUTCOMES[outcome]
    return OUTCOMES[Outcome.UNKNOWN]


def reason_text(reason: Reason, hop: Hop, rule: Rule | None) -> str:
    """The sentence: where it was last seen, and what became of it there."""
    where = f"{hop.node}" if hop.netns == "root" else f"{hop.netns} on {hop.node}"
    if isinstance(hop, ChainHop):
        chain = f"{hop.table} {hop.chain}"
        if reason == Reason.RULE:
            what = rule.text if rule is not None and rule.text else "a rule that is in no snapshot"
            number = f" rule {rule.number}" if rule is not None and rule.number else ""
            did = "rejected" if "-j REJECT" in what or what.startswith("reject") or " reject" in what else "dropped"
            return f"{where}: {rule.chain if rule else chain}{number} {did} it: {what}"
        if reason == Reason.POLICY:
            return f"{where}: the policy of {chain} is drop, and no rule accepted it"
        if reason == Reason.HOOK:
            hint = " (routing, rp_filter or TTL)" if hop.hook == "prerouting" else ""
            return f"{where}: {hop.hook} accepted it, then it was not seen again{hint}"
        last = f"{where}: {hop.hook}"
    else:
        last = f"{where}: {hop.interface} {hop.direction}"
    return {
        Reason.TTL: f"{last}: its time to live ran out there",
        Reason.SEGMENTED: f"{last}: from there on in other segments (GSO or GRO), and all its bytes arrived",
        Reason.ICMP: f"{last} was the last of it",
        Reason.ARRIVED: f"it arrived at {last}, neither traced nor answered there: what became of it is not known",
        Reason.FILTERED: f"last seen at {last}; the capture filter may have hidden it where it would have been next",
        Reason.INSIDE: f"{last} was the last of it, though every other interface there was captured",
        Reason.WIRE: f"{last}, and it did not come in where it was sent",
        Reason.CAPTURE_LOST: f"last seen at {last}; the capture lost packets or messages where it would have been next",
        Reason.CAPTURE_ENDED: f"last seen at {last}; the capture did not cover the time after it",
    }.get(reason, f"last seen at {last}; what follows is not captured")
