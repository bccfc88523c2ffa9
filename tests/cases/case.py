"""A case: captures, or the script that makes them, and what ttrace is to say of them."""

import json
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ttrace.correlate import Correlation
from ttrace.report import render_telling
from ttrace.report.telling import Telling

ROOT = Path(__file__).parent
JSON, TEXT, TEXT_OF_ALL = "expected.json", "expected.txt", "expected-all.txt"
"""Part of the JSON; the whole text; the whole text with every path (`--paths all`)."""


@dataclass(frozen=True)
class Case:
    """One folder of tests/cases/."""

    name: str

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @contextmanager
    def sources(self) -> Iterator[list[str]]:
        """What `ttrace correlate` is given. Meanwhile the working directory is where the files are, so that the result
        names them without a folder."""
        if (self.folder / "make.py").exists():
            with TemporaryDirectory(prefix="ttcase-") as folder, chdir(folder):
                yield import_module(f"{__package__}.{self.name}.make").make(Path())
        else:
            with chdir(self.folder):
                named = Path("sources.txt")
                yield named.read_text().split() if named.exists() else sorted(map(str, Path().glob("*.pcap*")))


def all_cases() -> list[Case]:
    """In the order of their names."""
    return [Case(path.parent.name) for path in sorted(ROOT.glob("*/README.md"))]


def document(result: Correlation) -> dict[str, Any]:
    """The JSON contract, with every path."""
    return json.loads("".join(render_telling(Telling.chosen(result, every_path=True), "json")))


def text(result: Correlation, *, every_path: bool = False) -> str:
    """The text form."""
    return "".join(render_telling(Telling.chosen(result, every_path=every_path), "text"))
