"""The shape of the code: which way imports point, how light they are, and that functions say their types."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ahead", "capture", "correlate", "kernels", "lab", "pcapng", "report", "warm_up")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
"""At any depth: what lies deeper is held to the same."""
MAY_IMPORT = {
    "ahead": {"errors", "capture", "cli", "cli_options", "kernels"},
    "kernels": {"errors"},
    "pcapng": {"errors", "kernels"},
    "capture": {"errors", "kernels", "pcapng"},
    "correlate": {"errors", "kernels", "pcapng"},
    "lab": {"errors", "kernels"},
    "warm_up": {"errors", "capture", "correlate", "kernels", "lab", "pcapng", "report"},
    "report": {"errors", "escaping", "correlate", "capture", "kernels", "lab"},
}
"""Which parts of ttrace each package may import; report names types of the others for the type checker
only."""


ROOMS = (
    ("schema", "protocols", "progress"),
    ("sightings", "arrays"),
    ("nodes",),
    ("decode",),
    ("netfilter",),
    ("clocks", "sequences"),
    ("flows",),
    ("packets",),
    ("hops",),
    ("outcomes",),
    ("result",),
    ("in_common",),
    ("summaries", "explain", "why_not"),
    ("findings",),
    ("expectations", "why", "compare"),
    ("dataframes",),
    ("pipeline",),
    ("in_memory", "in_parts"),
    ("api",),
)
"""correlate/, bottom up: a room, or a module beside the rooms, imports only from rows above its own in this list, and
from itself."""
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
MOST_LINES, MOST_FUNCTION_LINES, MOST_KERNEL_ARGUMENTS = 300, 40, 8
LONG_FOR_A_REASON = {
    "correlate/decode/frames.py:_dissect_records": 56,
    "pcapng/walk.py:walk_blocks": 55,
}
"""Functions that may be longer, and how long: each says its reason where it stands."""


@cache
def imports_of(path: Path) -> list[tuple[str, str]]:
    """(module below ttrace, name) of all that a module imports of ttrace, wherever in it it does so."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            package = path.relative_to(ROOT).parts[: -node.level]
            base = [*package, *(node.module.split(".") if node.module else [])]
        elif (node.module or "").split(".")[0] == "ttrace":
            base = node.module.split(".")[1:]
        else:
            continue
        found += [(".".join(base), alias.name) for alias in node.names]
    return found


def rooms_of(module: str, name: str) -> tuple[str, str]:
    """(top-level part, room in it or "") that `from module import name` is of."""
    parts = [*module.split("."), name] if module else [name]
    return parts[0], parts[1] if len(parts) > 2 or (ROOT / parts[0] / parts[-1]).is_dir() else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    imported = {rooms_of(*one)[0] for one in imports_of(path)}
    assert imported - {package, "__version__"} <= MAY_IMPORT[package]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "correlate").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_rooms_import_downward(path):
    """At any depth: an import that runs up, or to a room beside this one, fails."""
    room = path.relative_to(ROOT / "correlate").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    for module, name in imports_of(path):
        parts = [*module.split("."), name]
        if parts[0] == "correlate" and parts[1] != room:
            assert FLOOR[parts[1]] < FLOOR[room], f"{room} imports {module}.{name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_functions_and_kernels_are_small(path):
    source = path.read_text()
    assert source.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            name = f"{path.relative_to(ROOT)}:{node.name}"
            assert node.end_lineno - node.lineno < LONG_FOR_A_REASON.get(name, MOST_FUNCTION_LINES), name
            if any("njit" in ast.unparse(decorator) for decorator in node.decorator_list):
                assert len(node.args.args) <= MOST_KERNEL_ARGUMENTS, name


def test_long_functions_are_still_there_and_long():
    """Whoever shortens one strikes it from the list."""
    for name, most in LONG_FOR_A_REASON.items():
        path, function = name.split(":")
        found = [n for n in ast.walk(ast.parse((ROOT / path).read_text())) if getattr(n, "name", "") == function]
        assert MOST_FUNCTION_LINES < max(n.end_lineno - n.lineno + 1 for n in found) <= most


def public_names(room: Path) -> dict[str, set[str]]:
    """Module of a room to the names that its docstring says are for other rooms: lines of `module: name, name`."""
    found: dict[str, set[str]] = {}
    for line in (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").splitlines():
        module, colon, names = line.strip().partition(": ")
        if colon and module.isidentifier() and (room / f"{module}.py").exists():
            found.setdefault(module, set()).update(name.strip() for name in names.rstrip(",").split(","))
    return found


ROOM_FOLDERS = sorted({path.parent for path in SOURCES if len(path.relative_to(ROOT).parts) > 2})


@pytest.mark.parametrize("room", ROOM_FOLDERS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_says_what_is_for_others(room):
    """Its docstring names all that others import from it, and nothing that nobody does."""
    used: dict[str, set[str]] = {}
    others = [path for path in [*SOURCES, *ROOT.glob("cli*.py")] if not path.is_relative_to(room)]
    prefix = ".".join(room.relative_to(ROOT).parts) + "."
    for path in others:
        for module, name in imports_of(path):
            if module.startswith(prefix) and "." not in module.removeprefix(prefix):
                used.setdefault(module.removeprefix(prefix), set()).add(name)
    assert public_names(room) == used


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


@pytest.mark.parametrize("module", ["ttrace.cli_start", "ttrace.cli", "ttrace.capture"])
def test_start_up_imports_nothing_heavy(module):
    heavy = ("pandas", "scapy", "numba", "numpy", "pyroute2")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_two_modules_do_the_same_for_lack_of_a_name():
    assert not [path for path in SOURCES if path.name.startswith("util")]
