"""Which files of ttrace the agent is made of: those that its command line imports, wherever it does so."""

import ast
from pathlib import Path
from typing import Final

from ..kernels.kept_files import SOURCES

FIRST: Final = ("cli_interrupt.py", "cli_agent.py")
LEFT_OUT: Final = ("capture/kernels/entry.py", "report/__init__.py")
"""What needs numba, and is asked for only where nothing compiled ahead fits; and the door for those who correlate."""


def agent_files() -> list[Path]:
    """Below the package, sorted."""
    found: set[Path] = set()
    waiting = [SOURCES / name for name in FIRST]
    while waiting:
        path = waiting.pop()
        if path in found or str(path.relative_to(SOURCES)) in LEFT_OUT:
            continue
        found.add(path)
        folder = path.parent
        while folder != SOURCES.parent:
            waiting.append(folder / "__init__.py")
            folder = folder.parent
        waiting += _imported(path)
    return sorted(path.relative_to(SOURCES) for path in found)


def _imported(path: Path) -> list[Path]:
    """The files that a file imports of ttrace when it runs."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found += [base.with_suffix(".py"), base / "__init__.py"]
            found += [base / f"{alias.name}.py" for alias in node.names]
            found += [base / alias.name / "__init__.py" for alias in node.names]
    return [file for file in found if file.exists()]
