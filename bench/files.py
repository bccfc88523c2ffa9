"""The files that are measured, made once: `python -m bench.files NAME PACKETS DIR`.

Made in a process of its own: what a program has taken in memory before it starts another counts for that one too
(ru_maxrss), and the bench starts what it measures. So it does not even import NumPy.
"""

import sys
from pathlib import Path

from .measuring import measured, python


def made(folder, name, packets):
    """The paths of the files `name` with about `packets` packets (messages of `trace`, bytes of `large`); made unless
    they are there, and in the page cache."""
    directory = folder / f"{name}-{packets}"
    if not directory.exists():
        # A module is found from the root of the repository.
        measured(python("files", name, packets, folder.resolve()))
    paths = sorted(directory.iterdir())
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
    return paths


def _make(name, packets, directory):
    from .mixed import MIXED, SMALL, write_plain
    from .synthesis import synthesize, synthesize_large, write_trace

    directory.mkdir(parents=True)
    if name in ("mixed", "small"):
        write_plain(directory / "plain.pcapng", packets, MIXED if name == "mixed" else SMALL)
    elif name in ("nat", "traced"):
        synthesize(directory, packets, traced=name == "traced")
    elif name == "large":
        synthesize_large(directory, packets)
    elif name == "trace":
        write_trace(directory / "master.pcapng", packets)


def main():
    name, packets, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    unfinished = folder / f"{name}-{packets}.part"
    _make(name, packets, unfinished)
    unfinished.rename(folder / f"{name}-{packets}")


if __name__ == "__main__":
    main()
