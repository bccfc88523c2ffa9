"""`python -m bench.truth --views DIR`: the views of all captures below a folder."""

import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

from .captures import Capture
from .document import document
from .example import frames
from .judge import judge
from .kinds import KINDS
from .points import make_view
from .report import Totals, as_json, view_lines
from .running import Plan, captures_in, measure_all


def add_arguments(parser):
    """The options that only count with --views."""
    group = parser.add_argument_group("views")
    group.add_argument(
        "--views", type=Path, metavar="DIR", help="make views of the captures in DIR (or of one FILE) and judge them"
    )
    group.add_argument("--kinds", default="", metavar="A,B", help=", ".join(kind.name for kind in KINDS))
    group.add_argument("--per-file", type=int, default=3, metavar="N", help="views of each capture; 0: of every kind")
    group.add_argument("--seed", type=int, default=0, help="others are other views")
    group.add_argument("--limit", type=int, metavar="N", help="captures, spread over the folder")
    group.add_argument("--most-frames", type=int, default=5000, metavar="N", help="of each capture")
    group.add_argument("--jobs", type=int, default=1, metavar="N", help="captures at once")
    group.add_argument("--timeout", type=int, default=120, metavar="S", help="seconds for each capture")
    group.add_argument("--each", action="store_true", help="a line for each view")
    group.add_argument("--sources", default="captures", metavar="TEXT", help="what DIR holds, for --write")
    group.add_argument("--log", type=Path, metavar="FILE", help="write what came of each capture, a JSON object a line")


def plan_of(options, parser):
    """What was asked for."""
    names = tuple(options.kinds.split(",")) if options.kinds else tuple(kind.name for kind in KINDS)
    if unknown := set(names) - {kind.name for kind in KINDS}:
        parser.error(f"no view is called {', '.join(sorted(unknown))}")
    return Plan(names, options.per_file, options.seed, options.most_frames, options.timeout, options.keep)


def measure_views(options, plan):
    """Print the table; the Totals."""
    paths = captures_in(options.views)
    if options.limit and options.limit < len(paths):
        paths = [paths[i * len(paths) // options.limit] for i in range(options.limit)]
    warm()
    totals = Totals()
    with options.log.open("w") if options.log else nullcontext() as log:
        for outcome in measure_all(paths, plan, options.jobs):
            totals.add(outcome)
            if options.each or options.explain:
                print(*view_lines(outcome, options.explain), sep="\n", end="\n" if outcome.scores else "", flush=True)
            if log:
                print(as_json(outcome), file=log, flush=True)
    print(*totals.lines(), sep="\n")
    if options.write:
        options.write.write_text(document(totals, options.sources))
    return totals


def warm():
    """Load the kernels once, for all processes that are made of this one."""
    capture = Capture(1, frames(), 0)
    for name in ("three", "fragments"):
        kind = next(kind for kind in KINDS if kind.name == name)
        # What fails here fails in the processes too, where it is counted and named.
        with tempfile.TemporaryDirectory(prefix="ttviews-") as folder, suppress(Exception):
            judge(make_view(capture, kind, "warm", Path(folder)))
