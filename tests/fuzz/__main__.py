"""`python -m ttrace.tests.fuzz`: try mutants for a while; exit code 1 when anything was found."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from .runner import run
from .targets import NAMES, target

FOUND = Path(__file__).parent / "found"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ttrace.tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="in all (default: 600)")
    parser.add_argument("--target", action="append", choices=NAMES, help="only this; again for more")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="for the same mutants again (default: the time)"
    )
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--found", type=Path, default=FOUND, help="where findings are kept (default: tests/fuzz/found)")
    parser.add_argument("--try", dest="file", type=Path, help="only this input, in this process; with one --target")
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    if wanted.file:
        target(wanted.target[0]).run(wanted.file.read_bytes())
        return 0
    # In a process of its own: here no thread may be, for the children are forked.
    subprocess.run(
        [sys.executable, "-c", "from ttrace.cli import main; main()", "warm-up"], check=True, stdout=subprocess.DEVNULL
    )
    tried = run(wanted.target or list(NAMES), wanted.seconds, wanted.seed, wanted.found, wanted.workers)
    print(f"{'target':18} {'mutants':>9} {'seconds':>8} {'crashes':>8} {'hangs':>6} {'slowest':>8}")
    for one in tried:
        numbers = f"{one.mutants:9,} {one.seconds:8.0f} {one.crashes:8} {one.hangs:6} {one.slowest:7.1f}s"
        print(f"{one.name:18} {numbers}")
    findings = sorted(wanted.found.glob("*/*.txt"))
    print(f"{sum(one.mutants for one in tried):,} mutants, {len(findings)} findings (seed {wanted.seed})")
    for path in findings:
        print(f"  {path}: {path.read_text().strip().splitlines()[-1][:200]}")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
