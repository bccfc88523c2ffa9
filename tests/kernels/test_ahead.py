"""Kernels that were compiled ahead: taken for what they were made for, and never run on anything else."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrace.ahead.numba_types import numba_type
from ttrace.ahead.signatures import read_signatures
from ttrace.kernels import ahead
from ttrace.kernels.argument_types import fits, type_of
from ttrace.kernels.njit import Kernel

ROOT = Path(__file__).parents[2]
DEMO = [str(ROOT / "pcaps" / "docker-demo" / f"{node}.pcapng") for node in ("master", "slave")]
EVERY = [(module, kernel) for module, kernels in read_signatures().items() for kernel in kernels]
ROW = np.dtype([("a", "<u4"), ("b", "<i8")], align=True)


def told(code: str, **environment: str) -> str:
    """What another process says of itself, on stdout."""
    clean = {name: value for name, value in os.environ.items() if name != ahead.JIT} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_that_is_listed_was_compiled_of_these_sources():
    """Where this fails, `make kernels` compiles what was changed."""
    from importlib import import_module

    assert EVERY
    missing = []
    for module, name in EVERY:
        kernel = getattr(import_module(f"ttrace.{module}"), name)
        if not ahead.compiled_ahead(kernel.py_func):
            missing.append(f"{module}.{name}")
    assert not missing


def test_correlating_imports_no_compiler():
    code = (
        "import sys; from ttrace.cli import main\n"
        f"sys.argv = ['ttrace', 'correlate', *{DEMO!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('numba', 'llvmlite', 'pandas', 'scapy') if name in sys.modules])"
    )
    assert told(code).splitlines()[-1] == "[]"


def test_numba_is_imported_where_it_compiles_and_nowhere_else():
    """At the head of a module it would be imported with it, and a kernel's module always is."""
    compiles = {"kernels/jit.py", "kernels/handing_over.py", "kernels/views.py", "capture/kernels/syscalls.py"}
    found = set()
    for room in ("capture", "correlate", "kernels", "pcapng", "report"):
        for path in (ROOT / room).rglob("*.py"):
            if re.search(r"^(from|import) (numba|llvmlite)\b", path.read_text(), flags=re.MULTILINE):
                found.add(str(path.relative_to(ROOT)))
    assert found == compiles


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.long
def test_compiled_ahead_and_by_numba_say_the_same(form):
    for folder in sorted((ROOT / "pcaps").glob("docker-*")):
        files = sorted(map(str, folder.glob("*.pcap*")))
        arguments = ["ttrace", "correlate", "--format", form, *files]
        code = f"import sys; from ttrace.cli import main; sys.argv = {arguments!r}; main()"
        assert told(code) == told(code, **{ahead.JIT: "1"}) != ""


def as_a_kernel(function) -> Kernel:
    """As njit makes one, with something compiled ahead for an int64 and an array of them of any layout."""
    kernel = Kernel(function, {}, kept=False)

    class Compiled(ahead.Compiled):
        def load(self):
            return lambda *arguments: ("ahead", *arguments)

    key = ("int64", ("array", "<i8", 1, "A", False))
    kernel._ahead = [Compiled(key=key, share="none", symbol="none")]
    return kernel


@pytest.mark.parametrize(
    ("arguments", "is_ahead"),
    [
        ((1, np.arange(4)), True),
        ((1, np.arange(8)[::2]), True),
        ((np.int64(1), np.arange(4)), True),
        ((1, np.frombuffer(bytes(8), np.int64)), True),
        ((1, np.arange(4, dtype=np.int32)), False),
        ((1, np.arange(4, dtype=np.uint64)), False),
        ((1, np.arange(4, dtype=">i8")), False),
        ((1, np.zeros((2, 2), np.int64)), False),
        ((np.int32(1), np.arange(4)), False),
        ((True, np.arange(4)), False),
        ((1.0, np.arange(4)), False),
        ((2**63, np.arange(4)), False),
    ],
)
def test_only_such_types_as_it_was_compiled_for_reach_it(arguments, is_ahead):
    """It checks none: a wrong one would be read as what it is not."""

    kernel = as_a_kernel(lambda number, array: array[0] + number)
    kernel._dispatcher = lambda *_: ["numba"]
    assert kernel(*arguments)[0] == ("ahead" if is_ahead else "numba")


def test_numba_compiles_for_the_types_that_nothing_was_made_for():
    kernel = as_a_kernel(lambda number, array: array[0] + number)
    assert kernel(2, np.arange(1, 4, dtype=np.int32)) == 3


def test_an_argument_that_numba_does_not_know_is_an_error():
    from numba.core.errors import TypingError

    with pytest.raises(TypingError):
        as_a_kernel(lambda number, array: array[0] + number)(1, object())


def test_arguments_by_name_are_taken():
    def function(number, array):
        return array[0] + number

    assert as_a_kernel(function)(number=1, array=np.arange(4)) == 1


def test_a_record_of_another_layout_is_another_type():
    same = np.dtype({"names": ["a", "b"], "formats": ["<u4", "<i8"], "offsets": [0, 8], "itemsize": 16}, align=True)
    packed = np.dtype([("a", "<u4"), ("b", "<i8")])
    named = np.dtype([("a", "<u4"), ("c", "<i8")], align=True)
    assert type_of(np.zeros(2, same)) == type_of(np.zeros(2, ROW))
    assert type_of(np.zeros(2, packed)) != type_of(np.zeros(2, ROW)) != type_of(np.zeros(2, named))
    assert type_of(np.zeros(2, ROW)[0]) == ("record", type_of(np.zeros(2, ROW))[1])


def test_many_dtypes_of_the_same_kind_fill_no_memory():
    from ttrace.kernels import argument_types

    for _ in range(argument_types._MOST_KNOWN + 10):
        type_of(np.zeros(1, np.dtype([("a", "<u4"), ("b", "<i8")], align=True)))
    assert len(argument_types._KNOWN) <= argument_types._MOST_KNOWN


SCALARS = st.sampled_from(
    [1, -1, 2**63, True, 1.5, None, np.int32(1), np.uint64(1), np.int64(1), np.float64(1), np.bool_(True)]
)
ARRAYS = st.builds(
    lambda dtype, shape, step, writable: _array(dtype, shape, step, writable),
    st.sampled_from(["u1", "<i4", "<i8", "<u8", "f8", "?", ROW]),
    st.sampled_from([(1,), (4,), (3, 4)]),
    st.sampled_from([1, 2]),
    st.booleans(),
)  # fmt: skip


def _array(dtype, shape, step, writable):
    array = np.zeros(shape, dtype)[::step]
    array.flags.writeable = writable
    return array


VALUES = st.recursive(SCALARS | ARRAYS, lambda items: st.tuples(items, items), max_leaves=4)


@given(VALUES)
def test_types_are_those_that_numba_sees(value):
    """A key gives back what numba takes the value for, so it is compiled for just that."""
    import numba

    assert numba_type(type_of(value)) == numba.typeof(value)


@given(VALUES, VALUES)
def test_what_differs_for_numba_has_another_key(one, other):
    import numba

    assert (type_of(one) == type_of(other)) == (numba.typeof(one) == numba.typeof(other))


@given(VALUES)
def test_a_type_fits_itself_and_nothing_of_another_dtype(value):
    key = (type_of(value),)
    assert fits(key, key)
    assert not fits(key, (("array", "<c16", 1, "A", False),))
    assert not fits(key, ())


def test_a_list_that_is_damaged_is_as_if_there_were_none(tmp_path):
    for content in (b"", b"{", b"[]", b'{"modules": 1}'):
        ahead.list_file(tmp_path).write_bytes(content)
        code = (
            "import pathlib; from ttrace.kernels import ahead\n"
            f"ahead.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
            "from ttrace.correlate.arrays.union_find import find_all\n"
            "print(ahead.compiled_ahead(find_all.py_func))"
        )
        assert told(code) == "[]\n"


def test_what_was_compiled_of_other_sources_is_not_taken(tmp_path):
    listed = json.loads(ahead.list_file(ahead.FOLDER).read_bytes())
    for what in listed["modules"].values():
        what["fingerprint"] = "0" * 16
    ahead.list_file(tmp_path).write_text(json.dumps(listed))
    code = (
        "import pathlib; from ttrace.kernels import ahead\n"
        f"ahead.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "from ttrace.correlate.arrays.union_find import find_all\n"
        "print(ahead.compiled_ahead(find_all.py_func), ahead.has_any_ahead())"
    )
    assert told(code) == "[] True\n"


COUNT_BYTES = """
import pathlib, sys
from ttrace.kernels import ahead
from ttrace.kernels.njit import Kernel
ahead.FOLDER = pathlib.Path(sys.argv[1])
Kernel.announce = print
import numpy as np
from ttrace.correlate.arrays.union_find import find_all
print(find_all(np.array([0, 0, 1], np.int32)).tolist(), "numba" in sys.modules)
"""


def counted(folder: Path) -> list[str]:
    """Lines of a process that calls a kernel, with what was compiled ahead in a folder."""
    command = [sys.executable, "-c", COUNT_BYTES, str(folder)]
    clean = {name: value for name, value in os.environ.items() if name != ahead.JIT}
    clean["NUMBA_CACHE_DIR"] = str(folder)
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def copied(tmp_path) -> Path:
    """What was compiled ahead, in a folder of its own."""
    return Path(shutil.copytree(ahead.FOLDER, tmp_path / "compiled"))


def extensions(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.so"))
    assert found
    return found


def cut(folder: Path) -> None:
    for file in extensions(folder):
        file.write_bytes(file.read_bytes()[:1000])


def removed(folder: Path) -> None:
    for file in extensions(folder):
        file.unlink()


def writable(folder: Path) -> None:
    for file in extensions(folder):
        file.chmod(0o666)


def of_others(folder: Path) -> None:
    ahead.list_file(folder).chmod(0o666)


def test_what_was_compiled_ahead_is_loaded_from_its_folder(copied):
    assert counted(copied) == ["[0, 0, 0] False"]


@pytest.mark.parametrize("spoil", [cut, removed, writable, of_others])
def test_what_cannot_be_loaded_or_trusted_is_compiled_and_that_is_said(copied, spoil):
    """An extension module runs code of its own when it is loaded, as root too."""
    spoil(copied)
    said, told_then = counted(copied)
    assert "ompiling" in said
    assert told_then == "[0, 0, 0] True"


def test_several_threads_load_a_module_once(monkeypatch):
    loads = []

    def slowly(share: str) -> object:
        loads.append(share)
        time.sleep(0.05)
        return SimpleNamespace(kernel=len)

    monkeypatch.setattr(ahead, "_extension", cache(slowly))
    compiled = ahead.Compiled(key=(), share="one", symbol="kernel")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: compiled.load(), range(4))) == [len] * 4
    assert loads == ["one"]


def test_what_loads_kernels_is_in_none_of_them(tmp_path):
    """So a change of it compiles nothing anew."""
    shutil.copytree(ROOT, tmp_path / "ttrace", ignore=shutil.ignore_patterns(".*", "__pycache__", "tests", "pcaps"))
    code = "from ttrace.kernels.folders import fingerprint_of; print(fingerprint_of('correlate.packets.match'))"
    environment = {"PYTHONPATH": str(tmp_path)}
    before = told(code, **environment)
    for name in ("njit", "ahead", "jit", "trust", "argument_types"):
        with (tmp_path / "ttrace" / "kernels" / f"{name}.py").open("a") as file:
            file.write("# more\n")
    assert told(code, **environment) == before
    with (tmp_path / "ttrace" / "kernels" / "loads.py").open("a") as file:
        file.write("# more\n")
    assert told(code, **environment) != before


def test_without_a_c_compiler_nothing_is_built_and_one_line_says_what_is_missing(tmp_path):
    environment = os.environ | {"PATH": str(tmp_path)}
    code = (
        "from ttrace.ahead.command import run_or_exit; from ttrace.ahead.extension import _run\n"
        "run_or_exit(lambda: _run('gcc', '--version'))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: kernels cannot be compiled: there is no gcc",
        "hint: install gcc, g++ and the headers of Python (Debian: gcc, g++, python3-dev)",
    ]


@pytest.mark.long
def test_two_builds_are_the_same(tmp_path):
    """Most of a minute each, so not in CI."""
    for name in ("one", "other"):
        subprocess.run(
            [sys.executable, "-m", "ttrace.ahead", "--into", str(tmp_path / name)], check=True, capture_output=True
        )
    one, other = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one == other
    assert len(one) == 3  # the list, and two parts
