"""`python -m bench [ROW...]`: ttrace beside tcpdump, dumpcap, capinfos, tshark, dpkt and scapy; as root."""

import argparse
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ttrace.lab.interrupts import one_interrupt

from . import capture_rows, correlating_rows, forwarding_rows, large_rows, reading_rows, startup_rows, trace_rows
from .document import document, lines
from .machine import Machine
from .sizes import QUICK, Sizes

ROWS = {
    "capture": capture_rows,
    "forwarding": forwarding_rows,
    "reading": reading_rows,
    "correlating": correlating_rows,
    "large": large_rows,
    "trace": trace_rows,
    "startup": startup_rows,
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition(": ")[2])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument(
        "--large", action="store_true", help="correlate ten times as many packets too (20 GiB of memory)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the files that are read here, and use them again"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables as Markdown")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no row is called {', '.join(sorted(unknown))}")
    return options


@contextmanager
def scratch(keep):
    """A folder for the files, and for what is captured."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="ttbench-") as folder:
            yield Path(folder)


def _end(number, _frame):
    """SIGTERM cleans up like Ctrl-C; once is enough."""
    signal.signal(number, lambda _number, _frame: None)
    sys.exit(1)


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _end)
    # People press Ctrl-C twice, and the second must not stop the cleaning up.
    with suppress(KeyboardInterrupt), one_interrupt():
        return measure(options)
    return 130


def measure(options):
    sizes = replace(QUICK if options.quick else Sizes(), large=options.large)
    machine = Machine()
    sections = []
    for name in options.rows or ROWS:
        kind = ROWS[name]
        print(f"# {kind.TITLE}", flush=True)
        rows = []
        with scratch(options.keep) as folder:
            for row in kind.rows(sizes, folder):
                print("\n".join(lines(row)), flush=True)
                rows.append(row)
        sections.append((kind.TITLE, kind.NOTES, rows))
        if options.write:  # what has been measured is not lost if the rest is stopped
            options.write.write_text(document(machine, sections), encoding="utf-8")
    print("\n".join(machine.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
