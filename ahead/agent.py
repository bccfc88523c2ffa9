"""Makes the agent: `python -m ttrace.ahead.agent [OUT]`, one file that a node's own python3 runs without anything else.

It is a zip file of Python sources (zipapp): the capture, the doctor and their command line, the bindings of nftables,
the messages of pyroute2, and the capture's kernels, compiled for every machine there is an object for. libnftables and
libpcap are the node's.
"""

import importlib.util
import sys
import zipfile
from importlib.metadata import files
from io import BytesIO
from pathlib import Path
from subprocess import run
from typing import Final

from ..capture.stream.ahead import FOLDER, object_name
from ..errors import TtraceError
from ..kernels.kept_files import SOURCES
from .agent_files import agent_files
from .capture import build
from .command import run_or_exit, say
from .targets import TARGETS

NAME: Final = "ttrace-agent.pyz"
_BINDINGS: Final = ("nftables",)
"""Modules of others, each one file."""
_LOAD: Final = """\
import sys
from ttrace.capture.machine import route_messages
for read in (route_messages.links, route_messages.addresses, route_messages.neighbours):
    read([])
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("pyroute2.")), sep="\\n")
"""
_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of every file in it: the same sources give the same bytes."""
_MODE: Final = 0o644 << 16
_MAIN: Final = '''\
"""Records what a node does with its packets: `python3 ttrace-agent.pyz capture --help`."""
import sys

if sys.version_info < (3, 10):
    sys.exit("error: ttrace needs Python 3.10 or newer, this is %d.%d" % sys.version_info[:2])
from ttrace import cli_interrupt
from ttrace.agent_table import TABLE
from ttrace.cli_agent import main

cli_interrupt.allow()
main(TABLE)
'''


def agent() -> bytes:
    """The content of the file. Raises TtraceError where something that belongs into it cannot be made."""
    from ..cli import app
    from .command_table import command_table

    inside = {"__main__.py": _MAIN.encode(), "ttrace/LICENSE": (SOURCES / "LICENSE").read_bytes()}
    inside |= {f"ttrace/{path}": (SOURCES / path).read_bytes() for path in agent_files()}
    inside["ttrace/report/__init__.py"] = b""
    inside["ttrace/agent_table.py"] = _table(command_table(app, NAME))
    for machine, path in zip(TARGETS, build(list(TARGETS), FOLDER), strict=True):
        inside[f"ttrace/{FOLDER.relative_to(SOURCES)}/{object_name(machine)}"] = path.read_bytes()
    for module in _BINDINGS:
        inside[f"{module}.py"] = _source(module).read_bytes()
    inside |= _pyroute2()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(inside):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _MODE
            archive.writestr(entry, inside[name])
    return b"#!/usr/bin/env python3\n" + packed.getvalue()


def _pyroute2() -> dict[str, bytes]:
    """Those of its modules that reading messages loads, in a package without code of its own, and its licences."""
    root = _source("pyroute2").parent
    # In a process of its own: here somebody may have imported more of it.
    loaded = run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True, cwd="/").stdout.split()
    inside = {f"pyroute2/{Path(path).relative_to(root)}": Path(path).read_bytes() for path in loaded}
    licences = [file for file in files("pyroute2") or () if file.match("LICENSE*")]
    inside |= {f"pyroute2/{file.name}": file.read_text().encode() for file in licences}
    return {"pyroute2/__init__.py": b""} | inside


def _source(module: str) -> Path:
    """The file of a module. Raises TtraceError where it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        raise TtraceError(f"the module {module} is not installed, which belongs into the agent")
    return Path(spec.origin)


def _table(table: object) -> bytes:
    text = '"""The command line, made of that of ttrace when this file was (`ahead/agent.py`)."""\n\n'
    return f"{text}TABLE = {table!r}\n".encode()


def main() -> None:
    """The command line."""
    run_or_exit(lambda: _write(Path(sys.argv[1] if len(sys.argv) > 1 else NAME)))


def _write(target: Path) -> None:
    content = agent()
    target.write_bytes(content)
    target.chmod(0o755)
    say(f"{target}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
