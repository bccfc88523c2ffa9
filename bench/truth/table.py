"""The results as text, and as docs/truth.md."""

from dataclasses import dataclass

from .claims import Claims
from .judge import Score
from .scenes import Case

COLUMNS = (
    "case", "bytes", "files", "frames", "pairs", "precision", "recall", "ambiguous", "mixed", "order", "rewrites",
    "lost", "false", "clock", "",
)  # fmt: skip
WIDTHS = (11, 5, 5, 7, 8, 9, 8, 16, 5, 5, 22, 16, 12, 20, 4)
PRECISION, RECALL, CLOCKS = 0.9999, 0.995, 0.99
"""The goals."""


@dataclass(frozen=True)
class Result:
    """One measurement."""

    case: Case
    snaplen: str
    """`all` or `64`."""
    files: str
    """`named` (NODE/INTERFACE=FILE) or `bare`."""
    score: Score


def line(cells):
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def row(result):
    """The cells of one measurement."""
    score = result.score
    return (
        result.case.name, result.snaplen, result.files, f"{score.frames:,}", f"{score.true_pairs:,}",
        percent(score.precision), percent(score.recall), _ambiguous(score), str(score.mixed), str(score.misordered),
        _rewrites(score), _lost(score), _false(score), _clock(score), "" if meets(result) else "miss",
    )  # fmt: skip


def meets(result):
    score = result.score
    return score.precision >= PRECISION and not score.claims.false and (score.recall >= RECALL or not findable(result))


def findable(result):
    """Whether there is something to find all pairs by."""
    return result.case.all_findable and (result.case.findable_cut or result.snaplen != "64")


def percent(value):
    """Never 100 % where it is less."""
    return f"{int(value * 1e5) / 1e3:.2f}%" if value < 1 else "100%"


def _with_wrong(text, wrong):
    return f"{text} ({wrong} wrong)" if wrong else text


def _ambiguous(score):
    return _with_wrong(str(score.ambiguous + score.ambiguous_wrong), score.ambiguous_wrong)


def _rewrites(score):
    return _with_wrong(f"{score.rewrites_found}/{score.rewrites_true}", score.rewrites_wrong)


def _lost(score):
    return _with_wrong(f"{score.lost_found}/{score.lost_true}", score.lost_wrong)


def _false(score):
    """False lost, delivered, accepted, translations."""
    told = score.claims
    return " ".join(
        str(n) for n in (told.false_lost, told.false_delivered, told.false_accepted, told.false_translations)
    )


def _clock(score):
    bound = "?" if score.clock_bound_ns is None else f"{score.clock_bound_ns / 1000:,.0f}"
    return f"{score.clock_error_ns / 1000:,.0f} of {bound} µs" + ("" if score.clock_ok else " !")


def overall(results):
    """One line on all measurements."""
    scores = [result.score for result in results]
    claimed, wrong = sum(s.claimed for s in scores), sum(s.wrong for s in scores)
    counted = [result.score for result in results if findable(result)]
    true, found = sum(s.true_pairs for s in counted), sum(s.found for s in counted)
    missed = len({result.case.name for result in results if not meets(result)})
    return (
        f"precision {percent(1 - wrong / max(claimed, 1))} of {claimed:,} pairs claimed, "
        f"recall {percent(found / max(true, 1))} of {true:,} true ones; {missed} of "
        f"{len({r.case.name for r in results})} cases miss a goal"
    )


def false_line(results):
    """One line on the false claims, and on those of which it was sure."""
    told = Claims()
    for result in results:
        told.add(result.score.claims)
    return (
        f"false claims: {told.false_lost:,} lost, {told.false_delivered:,} delivered, "
        f"{told.false_accepted:,} accepted, {told.false_translations:,} translations, of {told.made:,} claims "
        f"({told.alike:,} more that are said to be ambiguous); of {told.sure:,} claims with confidence 0.99 or more, "
        f"{told.sure_wrong:,} were wrong"
    )


def clock_line(runs):
    """One line on the runs with random clocks."""
    inside = sum(score.clock_ok for score in runs)
    bounded = sum(score.clock_bound_ns is not None for score in runs)
    return f"clocks: {inside} of {len(runs)} inside the stated error, {bounded} of them with one stated"


HEAD = """# Inference from plain pcaps, against the truth

Made by `python -m bench.truth --write docs/truth.md`, as root, in about four minutes. Each case is a lab of network
namespaces, recorded by plain `tcpdump`s: no ttrace on the nodes, so no trace events, no conntrack, no snapshots. What
is true of a frame is known from the marks in the senders' payloads (for identical HTTP requests, from the client's
initial sequence number), and across a wire that loses or reorders from the log of that wire. A datagram in fragments is
one packet. Frames without either, such as neighbour discovery, are not counted.

- A **pair** is two frames of one packet at different points. *Precision* is the part of the claimed pairs that is
  right, without those said to be ambiguous; *recall* the part of the true pairs that is found. TCP frames that share
  bytes but were cut differently (GSO) count neither way.
- **64** is the same capture cut by `editcap -s 64`, where no mark is left. Each is measured with the files named
  (`a/docker0=FILE`) and bare (`FILE`: every file with a clock of its own); the table shows the worse of the two.
- **order**: neighbouring hops of one packet the wrong way round. **rewrites**: found with field, addresses, kind,
  direction and `evidence: inferred` all right, of those there were. **lost**: packets said to be lost or dropped, of
  those that the wire or a rule swallowed and those whose time to live ran out at a router. **clock**: the largest error
  of the offset at any counted frame, and the error ttrace states: `?` where it states none, `!` where it states too
  little.
- **false**: four counts, whose goal is 0: false lost, false delivered, false accepted, false translation. What each is,
  see below.
- Goals: precision 99.99 %, recall 99.5 %, no false claim, clocks inside the stated error in 99 % of the runs. The clock
  runs put random clocks, up to 10 s off, on node b of ten of the recordings; every second one drifts by up to 100 ppm.
- A **false claim** is counted for a path, here and in [the views](truth-views.md) (`bench/truth/claims.py`):
  - *false lost*: said to be lost or dropped, though a packet of it came to the last place we know of. In the views:
    though its end acknowledged or answered it, or (*unsigned*) though it passed there, the capture there missed it, and
    nothing in the captures shows that it did;
  - *false delivered*: said to be delivered, though all its packets were lost on the way;
  - *false accepted*: the last thing shown of it is a chain that accepts it, though it went no further. Captures without
    trace events have no chains: here and in the views it can only be 0;
  - *false translation*: a rewrite whose field, old and new address (and port) are those of no packet of the path.

  Paths said to be ambiguous, and those of packets that nothing can tell apart, are counted apart.
- **Calibration**: of the claims (an outcome, a translation, or frames joined wrongly) with confidence 0.99 or more, how
  many hold a false claim or a wrong pair.
"""


NOTES = """
## What to know when reading it

- *vxlan*, *any-vxlan* and *geneve* at 64 bytes: Ethernet, IP, UDP, the tunnel's and the inner Ethernet header fill
  them. Nothing of the inner packet is there, so what is missed is not in the sum; what is found are the outer packets
  at both ends of the wire.
- *fragments6* at 64 bytes: the fragment header leaves two bytes of UDP; not in the sum either.
- *extensions* at 64 bytes: the options of the requests fill them up to the ports, which the answers show.
- *identical*: nothing but its flow, its time and its turn tells a datagram from the next, so recall is no goal, and not
  in the sum.
- *hairpin-nf*: with `bridge-nf-call-iptables` a published port called from its own bridge is translated on the bridge,
  past docker0. There tcpdump runs with `-p`: in promiscuous mode the kernel also hands the translated frame to the IP
  stack of docker0, which routes it once more, and the packet arrives twice.
- *hairpin-nf* and *any-hairpin*: what is missed are the packets of the container that calls its own published port.
  One point alone sees them, under both pairs of addresses. The id of IPv4 is kept, but the TTL does not fall, for the
  bridge translates and does not route: nothing tells such a packet from two others that a host sent, and so no
  translation is claimed. Where other points lie between (*hairpin*), these tell.
- *gre* at 64 bytes: six bytes are left of an inner ICMP header, up to the identifier; the sequence number is cut off.
  The files that have it know the packets by it. The pings are what is missed.
- *loss*, *everything*, *drift-loss*, *dropped*, *identical*: no pcap says what its capture missed. TCP that is sent
  again shows that a packet was lost; a datagram that is not seen any further is `unknown` (`maybe-missed`), and counts
  as not found.
- *clamp*: points whose order TTL tells wrongly, for it is set and raised on the way. The times of both ways of a
  connection tell it; where nothing does, the order is said to be unknown and no rewrite is claimed.
- tcpdump records microseconds: two points of one node often show the same time. The truth comes from the same
  recordings in nanoseconds.
- The wire's losses come from a seed, but which packet meets them depends on the timing of the run: counts differ a
  little from run to run.
"""


def document(results, runs):
    """docs/truth.md."""
    lines = [
        HEAD,
        "; ".join([f"Result: {overall(results)}", false_line(results), *([clock_line(runs)] if runs else [])]) + ".",
        "",
    ]
    names = [
        "case",
        "bytes",
        "pairs",
        "precision",
        "recall",
        "ambiguous",
        "order",
        "rewrites",
        "lost",
        "false",
        "clock",
    ]
    lines += ["| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]
    by_case = {}
    for result in results:
        by_case.setdefault((result.case.name, result.snaplen), []).append(result)
    for (name, snaplen), both in by_case.items():
        worst = min((r.score for r in both), key=_quality)
        cells = [
            name, snaplen, f"{worst.true_pairs:,}", percent(worst.precision), percent(worst.recall), _ambiguous(worst),
            str(worst.misordered), _rewrites(worst), _lost(worst), _false(worst), _clock(worst),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## The cases", ""]
    for case in dict.fromkeys(result.case.name for result in results):
        found = next(result.case for result in results if result.case.name == case)
        goal = f" What counts: {found.goal}." if found.goal else ""
        points = ", ".join(found.points)
        lines.append(f"- **{case}**: {found.what} ({points}).{goal}")
    return "\n".join([*lines, NOTES])


def _quality(score):
    mistakes = score.misordered + score.rewrites_wrong + score.lost_wrong + score.rewrites_true - score.rewrites_found
    return min(score.precision, score.recall), score.clock_ok, -mistakes
