"""The shape of the code: which way imports point, how light they are, and that functions say their types."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("capture", "correlate", "lab", "pcapng", "report")
MAY_IMPORT = {
    "pcapng": {"compiled", "errors"},
    "capture": {"compiled", "errors", "kernels", "pcapng"},
    "correlate": {"compiled", "errors", "pcapng"},
    "report": {"errors", "correlate", "capture", "lab", "warm_up"},
    "lab": {"errors"},
}
"""Which parts of ttrace each package may import; report names types of the others for the type checker
only."""


def imported_parts(path: Path) -> set[str]:
    """Top-level parts of ttrace that a module imports from outside its own package."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            parts |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return parts - {"__version__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package):
    for path in (ROOT / package).glob("*.py"):
        assert imported_parts(path) <= MAY_IMPORT[package], path


def test_every_function_but_compiled_kernels_has_annotations():
    for package in PACKAGES:
        for path in (ROOT / package).glob("*.py"):
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
    assert not [path for package in PACKAGES for path in (ROOT / package).glob("util*.py")]
