"""Decoding trace events from a file."""

from .files import made
from .measuring import Goal, Row, in_turn, median_and_spread
from .peers import missing, reader, tshark_s

TITLE = "Trace events offline"
NOTES = """\
- One file of trace messages alone, those of `pcaps/docker-demo` again and again with other connections in them. ttrace
  decodes them and puts them together to the traversals of packets (`decode_messages`, `build_evaluations`), on one
  core, by CPU time. tshark reads the same file, but knows nothing of what is in these messages.
"""
_SHARE = 10


def rows(sizes, folder):
    (file,) = made(folder, "trace", sizes.trace_events)
    (part,) = made(folder, "trace", sizes.trace_events // _SHARE)
    works = []

    def ours():
        works.append(reader("trace", [file])[0])
        return works[-1]["events"] / works[-1]["cpu"]

    reason = missing("tshark")
    runs = {"ttrace": ours}
    if not reason:
        runs["tshark -T fields"] = lambda: sizes.trace_events / tshark_s([part], _SHARE, folder)
    if sizes.warm_up:
        ours()
        works.clear()
    samples = in_turn(runs, sizes.rounds)
    shares = [work["decode"] / work["seconds"] * 100 for work in works]
    yield Row(
        what=f"{sizes.trace_events:,} trace messages ({file.stat().st_size / 1e6:,.0f} MB)",
        unit="events/s",
        reference="tshark -T fields",
        samples=samples,
        absent={"tshark -T fields": reason} if reason else {},
        goals={"ttrace": Goal(bound=100_000, of="value", at_least=True)},
        notes={
            "ttrace": f"{median_and_spread(shares, '%')} of the time for reading and decoding, the rest for traversals",
            "tshark -T fields": f"on 1/{_SHARE} of the messages, which it does not decode",
        },
    )
