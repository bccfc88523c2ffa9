"""The capture's kernels compiled ahead: what they need, what is in them, and that they do what those of the JIT do."""

import ctypes
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ttrace.ahead.capture import build
from ttrace.ahead.linking import undefined
from ttrace.ahead.targets import TARGETS, tool
from ttrace.capture.kernels import columns
from ttrace.capture.kernels.messages import keep_datagrams
from ttrace.capture.stream.ahead import FOLDER, load_ahead
from ttrace.capture.stream.entries import Kernels
from ttrace.capture.stream.loop_memory import LoopMemory
from ttrace.capture.stream.ready import compiled_here
from ttrace.tests.capture.kernels.made_up import Packet, made_up, message, put_datagrams

from .arena import made_of
from .arm import arm_python

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TRACE, CONNTRACK = 0x0A11, 0x0100
_FUNCTION = re.compile(r"^[0-9a-f]+ <(?:ttrace_)?(\w+)>:\n(.*?)(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def objects() -> dict[str, Path]:
    """By machine; made by `make kernels`, or now."""
    return dict(zip(TARGETS, build(list(TARGETS), FOLDER), strict=True))


@pytest.mark.parametrize("machine", TARGETS)
def test_an_object_needs_these_functions_of_the_c_library_and_no_library(objects, machine):
    """Neither Python's nor numba's: it is loaded by whatever Python a node has."""
    assert undefined(objects[machine], TARGETS[machine]) == {
        "__errno_location", "clock_gettime", "epoll_wait", "memcpy", "recvmmsg", "usleep", "writev",
    }  # fmt: skip
    read = [tool(TARGETS[machine], "readelf"), "--dynamic", str(objects[machine])]
    listed = subprocess.run(read, capture_output=True, text=True, check=True).stdout
    assert "Shared library" not in listed
    assert "TEXTREL" not in listed
    assert objects[machine].stat().st_size < 100_000


@pytest.mark.parametrize("machine", TARGETS)
def test_an_object_has_a_function_for_each_kernel_that_python_calls(objects, machine):
    names = [tool(TARGETS[machine], "nm"), "--dynamic", "--defined-only", str(objects[machine])]
    listed = subprocess.run(names, capture_output=True, text=True, check=True).stdout
    assert {line.split()[-1] for line in listed.splitlines()} == {f"ttrace_{name}" for name in columns.ENTRY_NUMBERS}


def disassembled(path: Path, machine: str) -> dict[str, str]:
    """Function to its instructions."""
    command = [tool(TARGETS[machine], "objdump"), "--disassemble", "--no-show-raw-insn", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(_FUNCTION.findall(text))


def test_words_that_hand_memory_over_are_ordered_on_aarch64(objects):
    """Loaded with `ldar` before what they are about, stored with `stlr` behind it: plain ones have no order."""
    code = disassembled(objects["aarch64"], "aarch64")
    assert re.search(r"\bldar\b", code["settled_until"])  # whether a block is ours
    assert not re.search(r"\bstlr\b", code["settled_until"])
    assert re.search(r"\bstlr\b", code["end_batch"])  # blocks go back to the kernel
    assert not re.search(r"\bldar\b", code["end_batch"])
    whole = "".join(code.values())
    # Ring buffers of BPF: how far the kernel is and how far we are has 64 bits, whether a record is whole has 32.
    assert re.search(r"\bldar\s+x", whole)
    assert re.search(r"\bstlr\s+x", whole)
    assert re.search(r"\bldar\s+w", whole)
    assert re.search(r"\bstlr\s+wzr", whole)  # TP_STATUS_KERNEL


def test_each_word_that_hands_memory_over_is_read_and_written_in_order():
    """Nobody reads or writes one in passing: that would be right on x86 alone."""
    uses = [
        line
        for path in (ROOT / "capture" / "kernels").glob("*.py")
        for line in path.read_text().splitlines()
        if "+ BLOCK_STATUS_WORD" in line or "page_bytes) >> 3" in line
    ]
    assert len(uses) == 4
    assert all("load_acquire(" in line or "store_release(" in line for line in uses), uses


def test_an_object_for_x86_64_runs_on_processors_of_2009(objects):
    """x86-64-v2: no registers of AVX."""
    assert not re.search(r"%[yz]mm|\bv[a-z]+ps\b", "".join(disassembled(objects["x86_64"], "x86_64").values()))


def given() -> tuple[bytes, list[list[int]], list[list[int]]]:
    """An arena with packets of all sorts in three rings, and messages in two inboxes."""
    chance = random.Random(13)
    rings: list[list[list[Packet]]] = [[], [], []]
    time_ns = 1_000_000_000
    for number in range(150):
        time_ns += chance.randrange(0, 900)
        size = chance.choice((0, 1, 13, 60, 61, 62, 63, 1514, 4095, 4096, 9000))
        tag = chance.choice((None, None, (None, 7), (0x88A8, 4095)))
        packet = Packet(
            time_ns=time_ns, data=chance.randbytes(size), length=size + chance.choice((0, 100)),
            outgoing=chance.random() < 0.5, tag=tag,
        )  # fmt: skip
        ring = rings[number % 3]
        if not ring or len(ring[-1]) == 3:
            ring.append([])
        ring[-1].append(packet)
    intake = made_up(rings, blocks=20, inboxes=2)
    for inbox in range(2):
        for number in range(20):
            kind, at_ns = (TRACE, CONNTRACK)[number % 2], 1_000_000_000 + number * 6_000 + inbox
            put_datagrams(intake, inbox, [message(kind, chance.randbytes(number * 7 % 50))])
            keep_datagrams(intake, inbox, 1, at_ns, 0)
    intake.rings[1, columns.RING_WATCHED] = 1
    # Inboxes are 32 MiB each, and nearly empty: only their beginnings are looked at.
    return intake.octets.tobytes(), intake.rings.tolist(), intake.inboxes.tolist()


@pytest.fixture(scope="module")
def arena() -> tuple[bytes, list[list[int]], list[list[int]]]:
    return small(*given())


def small(octets: bytes, rings: list[list[int]], inboxes: list[list[int]]) -> tuple[bytes, list, list]:
    """The same with inboxes of 64 KiB."""
    begin, size = inboxes[0][columns.INBOX_BASE], 1 << 16
    kept = [octets[:begin]]
    for number, row in enumerate(inboxes):
        assert row[columns.INBOX_TAIL] < size // 2
        kept.append(octets[row[columns.INBOX_BASE] :][:size])
        row[columns.INBOX_BASE], row[columns.INBOX_BYTES] = begin + number * size, size
    return b"".join(kept), rings, inboxes


def test_the_jit_and_the_object_make_the_same_of_one_arena(arena):
    ahead = load_ahead()
    assert ahead is not None
    made = made_of(ahead, *arena)
    assert made == made_of(compiled_here(), *arena)
    assert len(made["written"]) > 500_000
    assert not any(row[columns.RING_LEFT] or row[columns.RING_FINISHED] for row in made["rings"])


@pytest.mark.usefixtures("objects")
def test_aarch64_makes_the_same_of_it(arena, tmp_path):
    """Under qemu, in Debian's own Python for it. (qemu on x86 orders loads and stores as x86 does.)"""
    given, made = tmp_path / "given", tmp_path / "made"
    given.write_text(json.dumps({"arena": arena[0].hex(), "rings": arena[1], "inboxes": arena[2]}))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ttrace").symlink_to(Path(__file__).parents[2])  # a checkout need not have the package's name
    run = [*arm_python(), "-m", "ttrace.tests.ahead.arena", str(given), str(made)]
    subprocess.run(run, check=True, timeout=120, env=os.environ | {"PYTHONPATH": str(tmp_path / "src")})
    assert json.loads(made.read_text()) == json.loads(json.dumps(made_of(load_ahead(), *arena)))


def nothing() -> LoopMemory:
    room = (ctypes.c_uint64 * 8)()
    memory = LoopMemory(ctypes.addressof(room), 64, inboxes=1)
    memory.room = room
    return memory


@pytest.mark.parametrize("kernels", [load_ahead, compiled_here])
def test_what_a_kernel_cannot_take_is_an_error_and_no_crash(kernels):
    found = kernels()
    for wrong in (None, 0, "memory", (ctypes.c_int64 * 19)(), memoryview(b"")):
        with pytest.raises(TypeError, match="takes a LoopMemory"):
            found.settled_until(wrong, 0)
    for wrong in (None, 1.5, "1", b"1", True):
        with pytest.raises(TypeError, match="takes whole numbers"):
            found.settled_until(nothing(), wrong)
    for wrong in (1 << 63, -(1 << 63) - 1, 1 << 70):
        with pytest.raises(OverflowError, match="64 bits"):
            found.settled_until(nothing(), wrong)
    for wrong in (1, -1, 1 << 40):
        with pytest.raises(IndexError, match="no inbox"):
            found.count_waiting(nothing(), wrong)
    with pytest.raises(TypeError):
        found.settled_until(nothing())
    assert found.settled_until(nothing(), 20_000_000) == 10_000_000


def test_an_object_takes_as_many_numbers_as_it_has_arguments():
    """ctypes by itself passes more on, and for those that are missing the kernel would take what it finds."""
    found: Kernels = load_ahead()
    address = ctypes.addressof(nothing().given)
    for numbers in ((), (address,), (address, 1, 2)):
        with pytest.raises(TypeError, match="takes 2 numbers"):
            found._entries["settled_until"](*numbers)
    with pytest.raises(ctypes.ArgumentError):
        found._entries["settled_until"](address, "1")


def asked(package: Path, question: str) -> str:
    """What a Python with this copy of ttrace says."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r}); {question}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path, objects) -> Path:  # noqa: ARG001 - they are copied
    """A copy of what a capture needs of ttrace, with the object of this machine."""
    copy = tmp_path / "ttrace"
    for name in ("capture", "kernels", "pcapng"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py", "escaping.py"):
        shutil.copy(ROOT / name, copy / name)
    return copy


FITS = "from ttrace.capture.stream.ahead import load_ahead; print(load_ahead() is not None)"


def test_an_object_of_other_sources_is_not_loaded(package):
    assert asked(package, FITS) == "True"
    source = package / "capture" / "kernels" / "merge.py"
    text = source.read_text()
    source.write_text(text + "\n# other\n")
    assert asked(package, FITS) == "False"
    source.write_text(text)
    assert asked(package, FITS) == "True"


def test_an_object_that_another_could_have_written_or_that_is_broken_is_not_loaded(package):
    (own,) = (package / "capture" / "objects").glob(f"capture-{platform.machine()}-*.so")
    own.chmod(0o666)
    assert asked(package, FITS) == "False"
    own.chmod(0o644)
    assert asked(package, FITS) == "True"
    whole = own.read_bytes()
    for length in (0, 40, 5_000, len(whole) - 1):
        own.write_bytes(whole[:length])
        assert asked(package, FITS) == "False"
    own.unlink()
    assert asked(package, FITS) == "False"


@pytest.mark.root
def test_where_no_object_fits_a_capture_is_made_by_the_jit(tmp_path):
    """With the kernels that it has kept, of a warm-up."""
    program = (
        "import sys\n"
        "from ttrace.capture.stream import ready\n"
        "ready.load_ahead = lambda: None\n"
        "from ttrace.cli_node import record\n"
        f"record({{'iface': ['lo'], 'write': {str(tmp_path / 'made')!r}, 'duration': 0.05}})\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert "nothing was lost" in done.stderr


@pytest.mark.root
def test_a_capture_needs_neither_numba_nor_numpy(tmp_path):
    program = (
        "import sys\n"
        "from ttrace.cli_node import record, diagnose\n"
        f"record({{'iface': ['lo'], 'write': {str(tmp_path / 'made')!r}, 'duration': 0.05}})\n"
        "diagnose(False)\n"
        "heavy = {'numpy', 'numba', 'llvmlite', 'pandas', 'scapy', 'pyroute2', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert (tmp_path / "made").stat().st_size


@pytest.mark.long
def test_two_builds_are_byte_for_byte_the_same(objects, tmp_path):
    for seed in ("1", "2"):
        into = tmp_path / seed
        command = [sys.executable, "-m", "ttrace.ahead.capture", "--into", str(into)]
        command += [word for machine in TARGETS for word in ("--machine", machine)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for path in objects.values():
            assert (into / path.name).read_bytes() == path.read_bytes()
