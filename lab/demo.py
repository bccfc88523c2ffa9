"""The captures that `ttrace demo` shows: of a lab made for the occasion, or the recorded ones where that cannot be."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import TtraceError

RECORDED: Final = Path(__file__).parent.parent / "pcaps" / "docker-demo"


@contextmanager
def demo_captures(
    *, keep: Path | None, force: bool = False, recorded: bool, say: Callable[[str], None]
) -> Iterator[list[Path]]:
    """Yields the files of master and slave. `keep`: folder for them, else they go when the block ends. `force`: files
    that are there may be replaced.

    Without root or Docker, or with `recorded`, these are the captures in pcaps/, and `say` is told so.
    """
    why = "as asked" if recorded else _why_no_lab()
    if why:
        say(f"Showing the recorded captures in {RECORDED} ({why}).")
        files = [RECORDED / "master.pcapng", RECORDED / "slave.pcapng"]
        if not files[0].exists():
            raise TtraceError(f"no recorded captures in `{RECORDED}`", "run `ttrace demo` as root, or from a checkout")
        yield files
        return
    if keep and not force:
        _check_free(keep)
    from . import DockerLab
    from .recording import record_scene
    from .scenes import SCENES

    with tempfile.TemporaryDirectory(prefix="ttrace-demo-") as scratch, DockerLab("ttdemo") as lab:
        say("Two Docker nodes are up. web1 on master asks slave:8080, web2 on slave asks master:8080 …")
        files = record_scene(lab, SCENES["demo"], keep or Path(scratch), *(["--force"] if force else []))
        lab.down()
        yield files


def _check_free(keep: Path) -> None:
    """See, before the lab is made, that no file would be replaced. Raises TtraceError."""
    for node in ("master", "slave"):
        if os.path.lexists(keep / f"{node}.pcapng"):
            raise TtraceError(
                f"`{keep / node}.pcapng` exists already", "choose another folder with `--keep`, or add `--force`"
            )


def _why_no_lab() -> str | None:
    if os.geteuid() != 0:
        return "not root, so no lab of its own"
    if shutil.which("dockerd") is None:
        return "no dockerd here, so no lab of its own"
    return None
