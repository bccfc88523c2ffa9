"""The shape of the code: which way imports point, how light they are, and that functions say their types."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("capture", "correlate", "kernels", "lab", "pcapng", "report", "warm_up")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
"""At any depth: what lies deeper is held to the same."""
MAY_IMPORT = {
    "kernels": {"errors"},
    "pcapng": {"errors", "kernels"},
    "capture": {"errors", "kernels", "pcapng"},
    "correlate": {"errors", "kernels", "pcapng"},
    "lab": {"errors", "kernels"},
    "warm_up": {"errors", "capture", "correlate", "kernels", "lab", "pcapng", "report"},
    "report": {"errors", "correlate", "capture", "kernels", "lab"},
}
"""Which parts of ttrace each package may import; report names types of the others for the type checker
only."""


def imported_parts(path: Path) -> set[str]:
    """Top-level parts of ttrace that a module imports from outside its own package."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == len(path.relative_to(ROOT).parts):
            parts |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ttrace":
            parts |= set(node.module.split(".")[1:2])
    return parts - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    assert imported_parts(path) - {package} <= MAY_IMPORT[package]


def test_every_package_is_installed():
    """A folder that `pyproject.toml` does not name is missing from a wheel, though a checkout has it."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    tops = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("bench", "tests")]
    folders = {path.parent.relative_to(ROOT) for top in tops for path in top.rglob("*.py")}
    assert sorted(named) == sorted(["ttrace", *(".".join(("ttrace", *folder.parts)) for folder in folders)])


def test_every_function_but_compiled_kernels_has_annotations():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not any("njit" in ast.unparse(d) for d in node.decorator_list):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                unnamed = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
                assert not unnamed, f"{path.name}: {node.name}({', '.join(unnamed)})"
                assert node.returns is not None, f"{path.name}: {node.name} returns what?"


@pytest.mark.parametrize("module", ["ttrace.cli", "ttrace.capture"])
def test_start_up_imports_nothing_heavy(module):
    heavy = ("pandas", "scapy", "numba", "numpy", "pyroute2")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_two_modules_do_the_same_for_lack_of_a_name():
    assert not [path for path in SOURCES if path.name.startswith("util")]
