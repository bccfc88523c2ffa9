"""`python -m ttrace.ahead [FOLDER]`: compile the kernels for this Python and processor, to where ttrace finds them
or to a folder."""

import sys
from pathlib import Path

from ..errors import TtraceError
from ..kernels.ahead import FOLDER
from .build import build


def _main(arguments: list[str]) -> int:
    try:
        build(Path(arguments[0]) if arguments else FOLDER, lambda line: print(line, flush=True))
    except TtraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
