"""docs/truth-views.md."""

from .kinds import KINDS
from .report import Totals, row

NAMES = (
    "view", "views", "pairs", "precision", "wrong", "recall", "missed", "alike", "order", "rewrites", "lost",
    "false lost", "false delivered", "false accepted", "false translation", "unanswered", "sure and wrong",
)  # fmt: skip

HEAD = """# Inference from captures of other people, against views of them with known truth

Made by `python -m bench.truth --views DIR --write docs/truth-views.md`. DIR held the test captures of other projects,
which are not kept here: {sources}. Each capture is made to cross a box, or two, as if it had been captured before and
behind it; what the box did is known to the byte (`bench/truth/views/`). A view follows from the name of the file, its
kind and the seed: whoever has the file makes it again.

- The hosts of a capture are put on two sides as they come; what stays on its link (groups, broadcasts, neighbour
  discovery) or is on one side is seen at one point, and no frame that is not IP counts. Time runs on where an answer
  would pass a point before what it answers.
- A box translates addresses, ports and the identifiers of echoes, in ICMP errors those of the packet they quote too; it
  lowers the time to live and corrects the checksums (or leaves them to the card before it, where the view says so).
- *Lost* are only packets whose loss the conversation does not contradict: bytes that are sent again (by the capture, or
  by the view, under another IP id), acknowledgments that a later one covers, conversations in which nobody answers.
- A **pair** is a packet at two points; *wrong* are pairs of frames in one path that are two packets. **alike**: packets
  that nothing can tell apart: byte-equal but for what boxes change, in one conversation or in such as have nothing of
  their own, whose ways overlap in time or of which one was lost, missed or copied; wrong or missed pairs among them are
  in no other column. Two frames that may be one packet in the capture itself (a mirror, both sides of a router) count
  neither way.
- **lost**: found of those that were; **unanswered**: said to be delivered although nobody answers in that conversation,
  which nothing shows. The false claims are defined in [truth.md](truth.md).
"""


def document(totals: Totals, sources: str):
    """The page. `sources`: what the folder held, in words."""
    lines = [HEAD.format(sources=sources), *(f"{line}  " for line in _sums(totals)), ""]
    lines += ["| " + " | ".join(NAMES) + " |", "| --- " * len(NAMES) + "|"]
    for name, score in [*totals.by_kind.items(), ("all", totals.overall)]:
        if score.views:
            lines.append("| " + " | ".join(row(name, score)) + " |")
    lines += ["", "## The views", ""]
    lines += [f"- **{kind.name}**: {kind.what}." for kind in KINDS if totals.by_kind[kind.name].views]
    return "\n".join([*lines, ""])


def _sums(totals):
    """Failures by their kind; whose file it was is for the screen."""
    for text in totals.sums():
        if not text.startswith("  "):
            yield text.removesuffix(":") + "."
