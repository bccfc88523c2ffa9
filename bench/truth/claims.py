"""False claims of single paths: counts whose goal is 0, and how far a stated confidence can be believed.

For both ways to measure: the labs (judge.py) and the views (views/judge.py) say what is true of each path, and this
module counts. docs/truth.md defines the words.
"""

from dataclasses import dataclass, field

SURE = 0.99
"""A claim with this confidence or more is counted for the calibration."""
GONE = ("lost", "dropped")
SAID_SO = ("icmp", "ttl")
"""Reasons that a node on the way, maybe behind the last point, gave itself."""


@dataclass
class Told:
    """What is claimed of a path."""

    outcome: str
    reason: str
    confidence: float
    ambiguous: bool
    accepted_last: bool
    """The last thing it shows is a chain that accepted it, and it is told as one that went on."""


@dataclass
class PathClaim:
    """A path: what is told of it, and what is true of its packets."""

    path: int
    told: Told
    rewrites: int = 0
    """Claimed."""
    false_rewrites: list = field(default_factory=list)
    lost: bool = False
    """All of its packets went into a box, wire or rule and did not come out."""
    arrived: bool = False
    """One of them crossed all that we know of."""
    signed: bool = False
    """And its end answered or acknowledged it, in these captures."""
    answered: bool = False
    """Both ends of its conversation speak."""
    at_the_end: bool = False
    """The last point on its way shows it."""
    alike: bool = False
    """Nothing can tell its packets from others."""
    wrong_pairs: bool = False
    where: str = ""


@dataclass
class Claims:
    """Counts of paths."""

    paths: int = 0
    outcomes: int = 0
    """Paths whose outcome is claimed, rather than unknown."""
    translations: int = 0
    """Rewrites claimed."""
    false_lost: int = 0
    false_lost_unsigned: int = 0
    """Of these: what arrived was not captured there, and nothing in the captures shows that it did."""
    lost_beyond: int = 0
    """Said to be lost behind the last point, where nothing is known; not counted as false."""
    false_delivered: int = 0
    unanswered_delivered: int = 0
    """Said to be delivered although nobody ever answered in its conversation; true or not, nothing shows it."""
    false_accepted: int = 0
    false_translations: int = 0
    alike: int = 0
    """False ones of packets that nothing can tell apart; not in the counts above."""
    sure: int = 0
    sure_wrong: int = 0

    def add(self, other):
        """Count those of another one too."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def false(self):
        """All whose number has to be 0."""
        return self.false_lost + self.false_delivered + self.false_accepted + self.false_translations

    @property
    def made(self):
        """All claims."""
        return self.outcomes + self.translations


def judge_claims(counts, claims, samples):
    """Count each PathClaim; `samples`: kind of mistake -> lines, is added to."""
    for claim in claims:
        mistakes = list(mistakes_of(claim))
        told = claim.told
        counts.paths += 1
        counts.outcomes += told.outcome != "unknown"
        counts.translations += claim.rewrites
        if claim.alike or told.ambiguous:
            counts.alike += bool(mistakes)
            mistakes = []
        _note(counts, claim, mistakes, samples)
        is_claim = told.outcome != "unknown" or claim.rewrites or claim.wrong_pairs
        if told.confidence >= SURE and is_claim:
            counts.sure += 1
            counts.sure_wrong += bool(mistakes) or claim.wrong_pairs


def last_accepted(result):
    """The paths whose last hop is a chain that accepts. Captures without trace events have no chains."""
    if not result.evaluations.rows.size:
        return set()
    hops = ((number, result.path(number).hops) for number in range(1, result.packets.count + 1))
    return {number for number, seen in hops if seen and seen[-1].kind == "chain" and seen[-1].verdict == "accept"}


def mistakes_of(claim):
    """Yield the kinds of false claims that a path makes."""
    told = claim.told
    if told.outcome in GONE and claim.arrived and not claim.lost:
        if claim.signed:
            yield "false lost"
        elif not claim.at_the_end and told.reason not in SAID_SO:
            yield "false lost, unsigned"
    if told.outcome == "delivered" and claim.lost:
        yield "false delivered"
    if told.accepted_last and claim.lost:
        yield "false accepted"
    if claim.false_rewrites:
        yield "false translation"


def _note(counts, claim, mistakes, samples):
    told = claim.told
    counts.false_lost += "false lost" in mistakes or "false lost, unsigned" in mistakes
    counts.false_lost_unsigned += "false lost, unsigned" in mistakes
    counts.false_delivered += "false delivered" in mistakes
    counts.false_accepted += "false accepted" in mistakes
    counts.false_translations += len(claim.false_rewrites) if "false translation" in mistakes else 0
    counts.lost_beyond += told.outcome in GONE and claim.at_the_end and not claim.lost and not claim.signed
    if told.outcome == "delivered" and not claim.answered:
        counts.unanswered_delivered += 1
        samples["delivered, unanswered"].append(_line(claim))
    for mistake in mistakes:
        samples[mistake].append(_line(claim))


def _line(claim):
    told = claim.told
    rest = f" {claim.false_rewrites}" if claim.false_rewrites else ""
    return f"path {claim.path}: {told.outcome} ({told.reason}, {told.confidence:.2f}){rest}: {claim.where}"
