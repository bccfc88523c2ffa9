"""Programs that read capture files, as anybody would call them, beside ttrace's own readers (reader.py)."""

import importlib.util
import json
import shutil
import sys

from .files import made
from .measuring import measured, python, said_by

TCPDUMP = ("tcpdump", "-r", None, "-w", "/dev/null")
CAPINFOS = ("capinfos", "-c", "-a", "-e", None)
"""Without the check sums of the file, which it makes otherwise."""
TSHARK = ("tshark", "-r", None, "-T", "fields", "-e", "ip.src", "-e", "ip.dst", "-e", "frame.time_epoch")


def wall_s(command, file):
    """Seconds a command takes; the file goes in the place of its None."""
    return measured([str(file) if word is None else word for word in command]).wall_s


def tshark_s(files, share, folder):
    """Seconds tshark takes for `share` times the packets of these files: its start is counted once for each, not
    `share` times."""
    (nothing,) = made(folder, "small", 0)
    start = wall_s(TSHARK, nothing)
    return sum(start + share * max(wall_s(TSHARK, file) - start, 0) for file in files)


def reader(kind, files):
    """(what bench/reader.py says of its work on these files, its Usage as a whole process)."""
    usage, said = said_by(python("reader", kind, *files))
    return json.loads(said), usage


def missing(program=None, module=None):
    """Why a peer cannot be measured, None if it can."""
    if program and not shutil.which(program):
        return f"`{program}` is not installed"
    if module and importlib.util.find_spec(module) is None:
        return f"not installed for {sys.executable}"
    return None
