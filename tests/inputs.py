"""What the tests correlate, kept as folders: `pytest --collect-inputs FOLDER` (conftest.py), read by digests.py.

An input is a folder with its files and `input.json`: the sources (node, interface, file), the ports of VXLAN, and the
test that it is of.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import Any

import ttrace.correlate
from ttrace.correlate import api, in_memory
from ttrace.correlate.nodes.sources import Source, parse_sources
from ttrace.errors import TtraceError

LARGEST = 8_000_000
"""Bytes of all files of an input; larger ones are not kept."""
DESCRIPTION = "input.json"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One of them, in the folder where its files are."""

    name: str
    folder: Path
    sources: list[Source]
    vxlan_ports: Sequence[int]


def inputs_of(folder: Path) -> Iterator[Input]:
    """Those that were collected there, and every other folder in it with captures, as recordings are kept."""
    for path in sorted(folder.iterdir()):
        if (path / DESCRIPTION).exists():
            described = json.loads((path / DESCRIPTION).read_text())
            sources = [Source(node=n, interface=i, path=file) for n, i, file in described["sources"]]
            yield Input(name=path.name, folder=path, sources=sources, vxlan_ports=described["vxlan"])
        elif path.is_dir() and not path.name.startswith(".") and (files := sorted(path.glob("*.pcap*"))):
            sources = [Source(path=file.name) for file in files]
            yield Input(name=path.name, folder=path, sources=sources, vxlan_ports=[])


def collect_into(folder: Path) -> None:
    """From now on keep what is correlated. To be called before tests import what they call."""
    folder.mkdir(parents=True, exist_ok=True)
    correlate = in_memory.correlate_captures

    @wraps(correlate)
    def collecting(files: Sequence[str | Source], *more: Any, vxlan_ports: Sequence[int] = (), **named: Any) -> Any:
        keep(files, vxlan_ports, folder.resolve())
        return correlate(files, *more, vxlan_ports=vxlan_ports, **named)

    for module in (ttrace.correlate, api, in_memory):
        module.correlate_captures = collecting


def keep(files: Sequence[str | Source], vxlan_ports: Sequence[int], folder: Path) -> None:
    """Once, whatever the number of tests that correlate the same."""
    try:
        sources = parse_sources(files)
        if not all(Path(source.path).is_file() for source in sources):
            return
        contents = [Path(source.path).read_bytes() for source in sources]
    except (TtraceError, OSError):  # the test is about this
        return
    if sum(map(len, contents)) > LARGEST:
        return
    rows = [[s.node, s.interface, f"{number}/{Path(s.path).name}"] for number, s in enumerate(sources)]
    described = {"sources": rows, "vxlan": list(vxlan_ports)}
    digest = blake2b(json.dumps(described).encode(), digest_size=8)
    for content in contents:
        digest.update(content)
    kept = folder / digest.hexdigest()
    if kept.exists():
        return
    growing = folder / f".{kept.name}-{os.getpid()}"
    for (_, _, name), content in zip(rows, contents, strict=True):
        (growing / name).parent.mkdir(parents=True)
        (growing / name).write_bytes(content)
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    (growing / DESCRIPTION).write_text(json.dumps(described | {"test": test}))
    try:
        growing.rename(kept)
    except OSError:  # another worker was faster
        shutil.rmtree(growing)
