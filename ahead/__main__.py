"""`python -m ttrace.ahead`: compile the kernels for this Python and processor."""

import argparse
from pathlib import Path

from ..kernels.ahead import FOLDER
from .build import build
from .command import run_or_exit, say

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ttrace.ahead", description=__doc__)
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default: beside the package")
    options = parser.parse_args()
    run_or_exit(lambda: build(options.into, say))
