"""Makes the shared objects of the capture's kernels: `python -m ttrace.ahead.capture [--machine M]... [--into FOLDER]`.

Without `--machine` that of this machine, and of those that there is a linker for. What is there already is left alone.
Numba's version is pinned in pyproject.toml (extra `ahead`): the same sources and versions give the same bytes.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..capture.stream.ahead import FOLDER, PREFIX, object_name
from ..errors import TtraceError
from ..kernels.folders import CAPTURE, fingerprint_of
from ..kernels.kept_files import forget_others, make_folder, writing
from .command import run_or_exit, say
from .targets import TARGETS, has_tools


def build(machines: Sequence[str], folder: Path) -> list[Path]:
    """Make the objects that are not there in the folder, and remove those of other sources; returns all that were asked
    for. Raises TtraceError."""
    unknown = [machine for machine in machines if machine not in TARGETS]
    if unknown:
        raise TtraceError(f"nothing is compiled ahead for {', '.join(unknown)}", f"for {', '.join(TARGETS)} it is")
    fingerprint = fingerprint_of(CAPTURE)
    wanted = {machine: folder / object_name(machine, fingerprint) for machine in machines}
    missing = [machine for machine, path in wanted.items() if not path.exists()]
    if missing:
        began = time.monotonic()
        say(f"compiling the capture's kernels for {' and '.join(missing)}, about 15 s")
        make_folder(folder)
        for machine, content in _objects(missing).items():
            with writing(wanted[machine]) as file:
                file.write(content)
            say(f"{wanted[machine].name}: {len(content):,} bytes")
            forget_others(folder, object_name(machine).removesuffix(".so") + "-", fingerprint)
        say(f"compiled in {time.monotonic() - began:.1f} s")
    return list(wanted.values())


def _objects(machines: Sequence[str]) -> dict[str, bytes]:
    """By machine. Numba is imported here, for no processor in particular, and takes nothing from where it keeps
    kernels: what is kept is compiled already."""
    for name in [name for name in os.environ if name.startswith("NUMBA_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="ttrace-ahead-") as nothing_kept:
        os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": nothing_kept}
        from ..capture.kernels.columns import ENTRY_NUMBERS
        from ..capture.kernels.entry import ENTRIES
        from .linking import link
        from .object_code import intermediate, object_code

        text = intermediate(ENTRIES, ENTRY_NUMBERS, PREFIX)
        return {machine: link(object_code(text, TARGETS[machine])[0], TARGETS[machine]) for machine in machines}


def _usual() -> list[str]:
    here = platform.machine()
    return [here, *(machine for machine, target in TARGETS.items() if machine != here and has_tools(target))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ttrace.ahead.capture", description=__doc__)
    parser.add_argument("--machine", action="append", metavar="M", help=f"one of {', '.join(TARGETS)}; again for more")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default: beside the package")
    options = parser.parse_args()
    run_or_exit(lambda: build(options.machine or _usual(), options.into))


if __name__ == "__main__":
    main()
