"""Compiled kernels: never those of other sources, kept where that is possible, all of them there after a warm-up."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ttrace.kernels.folders import fingerprint_of, kernel_folders
from ttrace.kernels.kept_files import make_folder, read_file, why_not_trusted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PCAPS = ROOT / "pcaps" / "docker-http"
FILES = [str(PCAPS / f"{node}.pcapng") for node in ("master", "slave")]
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Before a command: what is read-only is so for root too."""
ASK = (
    "from ttrace.correlate.using import twice; print(twice(1));"
    "from ttrace.kernels.jit import KernelCache; print(KernelCache.missed)"
)
"""Prints what the kernel says, and how many were compiled for that."""


@pytest.fixture
def folder():
    """A folder in which others can be made read-only."""
    path = Path(tempfile.mkdtemp(prefix="ttkernels-"))
    yield path
    for root, _, _ in os.walk(path):
        Path(root).chmod(0o755)
    shutil.rmtree(path)


@pytest.fixture
def package(folder):
    return make_package(folder)


def make_package(folder):
    """ttrace with two kernels only: one calls the other, in another package, which has a constant from a third file."""
    root = folder / "ttrace"
    for name in ("correlate", "kernels", "pcapng"):
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").touch()
    for name in (
        "__init__.py",
        "errors.py",
        "kernels/ahead.py",
        "kernels/folders.py",
        "kernels/jit.py",
        "kernels/kept_files.py",
        "kernels/njit.py",
        "kernels/elf.py",
        "kernels/trust.py",
    ):
        shutil.copy(ROOT / name, root / name)
    (root / "pcapng" / "numbers.py").write_text("STEP = 1\n")
    (root / "pcapng" / "adding.py").write_text(
        "from ..kernels.njit import njit\nfrom .numbers import STEP\n\n\n"
        "@njit(cache=True)\ndef add(x):\n    return x + STEP\n"
    )
    (root / "correlate" / "using.py").write_text(
        "from ..kernels.njit import njit\nfrom ..pcapng.adding import add\n\n\n"
        "@njit(cache=True)\ndef twice(x):\n    return add(add(x))\n"
    )
    return root


def asked(package, before=UNPRIVILEGED, **environment):
    """(answer, kernels compiled) of another process."""
    clean = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    clean |= {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    command = [*before, sys.executable, "-c", ASK]
    done = subprocess.run(command, env=clean, cwd="/", capture_output=True, text=True, check=True, timeout=60)
    return tuple(int(word) for word in done.stdout.split())


def make_read_only(package):
    for root, _, _ in os.walk(package):
        Path(root).chmod(0o555)


def kernel_folders_in(place):
    return sorted(path for path in place.rglob("kernels-*") if path.is_dir())


@pytest.mark.parametrize("chosen", [False, True])
def test_a_constant_that_changes_in_another_file_gives_other_kernels(package, folder, chosen):
    environment = {"NUMBA_CACHE_DIR": str(folder / "chosen")} if chosen else {}
    place = folder / "chosen" if chosen else package / "__pycache__"
    assert asked(package, **environment) == (3, 2)
    assert asked(package, **environment) == (3, 0)
    (kept,) = kernel_folders_in(place)
    old = set(kept.iterdir())
    others = place / "kernels-mine"
    others.mkdir()
    constants = package / "pcapng" / "numbers.py"
    before = constants.stat()
    constants.write_text("STEP = 5\n")
    os.utime(constants, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert asked(package, **environment) == (11, 2)
    assert not old & set(kept.iterdir())
    assert others.exists()
    assert len(kernel_folders_in(folder)) == 2


def test_only_what_is_made_of_a_changed_source_is_compiled_again(package):
    assert asked(package) == (3, 2)
    (package / "correlate" / "unused.py").write_text("NOTHING = 1\n")
    assert asked(package) == (3, 0)
    using = package / "correlate" / "using.py"
    using.write_text(using.read_text().replace("add(add(x))", "add(add(add(x)))"))
    assert asked(package) == (4, 1)


@pytest.mark.parametrize("deep", ["correlate/rooms", "correlate/rooms/within/rooms"])
def test_a_kernel_in_a_new_folder_is_never_that_of_older_sources(package, deep):
    """However deep it lies: no list of folders has to be kept."""
    folder = package / deep
    folder.mkdir(parents=True)
    for place in (folder, *folder.parents):
        if place.is_relative_to(package):
            (place / "__init__.py").touch()
    (package / "pcapng" / "adding.py").rename(folder / "adding.py")
    ups = "." * (deep.count("/") + 2)
    adding = folder / "adding.py"
    adding.write_text(
        f"from {ups}kernels.njit import njit\nfrom {ups}pcapng import (\n    numbers,\n)\n\nSTEP = numbers.STEP\n\n\n"
        "@njit(cache=True)\ndef add(x):\n    return x + STEP\n"
    )
    using = package / "correlate" / "using.py"
    using.write_text(using.read_text().replace("..pcapng.adding", f"..{deep.replace('/', '.')}.adding"))
    assert asked(package) == (3, 2)
    (package / "pcapng" / "numbers.py").write_text("STEP = 7\n")
    assert asked(package) == (15, 2)
    adding.write_text(adding.read_text().replace("x + STEP", "x - STEP"))
    assert asked(package) == (-13, 2)


def test_whoever_asks_for_kernels_of_a_module_that_is_gone_is_told():
    with pytest.raises(FileNotFoundError):
        fingerprint_of("correlate.gone")


def test_machines_share_the_kernels_of_a_processor_that_is_named(monkeypatch):
    """What the machine itself is, is then not asked: numba compiles for the one that is named."""
    from ttrace.kernels import folders

    def of_a_machine(model):
        monkeypatch.setattr(folders, "_content", lambda path, *_: model if path in folders._CPU else b"")
        return folders._machine()

    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    one = of_a_machine(b"cpu:type:x86,ven0000fam0006mod0055")
    assert of_a_machine(b"cpu:type:x86,ven0002fam0017mod0031") != one
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert of_a_machine(b"cpu:type:x86,ven0002fam0017mod0031") != of_a_machine(b"cpu:type:x86,ven0000fam0006mod0055")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    named = of_a_machine(b"cpu:type:x86,ven0000fam0006mod0055")
    assert of_a_machine(b"cpu:type:x86,ven0002fam0017mod0031") == named != one


def test_builds_of_one_python_share_kernels(monkeypatch):
    from ttrace.kernels import folders

    before = folders._versions()
    monkeypatch.setattr(folders.sys, "version", "3.11.99 (built by somebody else, another day)")
    assert folders._versions() == before


def test_numba_keeps_the_kernels_of_others_where_it_always_does(package):
    (package / "correlate" / "using.py").write_text(
        "from numba import njit\nfrom ..pcapng.adding import add\n\n\n"
        "@njit(cache=True)\ndef twice(x):\n    return add(add(x))\n"
    )
    assert asked(package) == (3, 1)
    assert list((package / "correlate" / "__pycache__").glob("using.twice-*.nbi"))


def test_a_package_that_cannot_be_written_uses_the_cache_of_the_user(package, folder):
    home = folder / "home"
    home.mkdir()
    make_read_only(package)
    assert asked(package, XDG_CACHE_HOME=str(home)) == (3, 2)
    assert asked(package, XDG_CACHE_HOME=str(home)) == (3, 0)
    assert not kernel_folders_in(package)
    assert len(kernel_folders_in(home / "ttrace")) == 1


def test_kernels_that_came_with_the_package_are_used_as_they_are(package, folder):
    home = folder / "home"
    home.mkdir()
    assert asked(package) == (3, 2)  # by who installs it
    (kept,) = kernel_folders_in(package)
    make_read_only(package)
    assert asked(package, XDG_CACHE_HOME=str(home)) == (3, 0)
    assert not list(home.iterdir())
    kept.chmod(0o755)
    for file in kept.glob("pcapng.*"):  # what is not there is compiled, into the user's cache
        file.unlink()
    for file in kept.glob("correlate.*.nbc"):
        file.write_bytes(b"broken")
    make_read_only(package)
    assert asked(package, XDG_CACHE_HOME=str(home)) == (3, 2)
    assert asked(package, XDG_CACHE_HOME=str(home)) == (3, 0)


def test_without_any_place_to_write_kernels_work_and_are_gone_afterwards(package, folder):
    make_read_only(folder)
    assert asked(package, XDG_CACHE_HOME=str(folder / "home"))[0] == 3
    assert not kernel_folders_in(folder)


def ttrace(*arguments, **environment):
    command = [sys.executable, "-c", "from ttrace.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, env=os.environ | environment
    )


def test_after_a_warm_up_nothing_is_compiled(tmp_path, monkeypatch):
    """In a folder of its own, into which no other test compiles meanwhile, with what there is to begin with."""
    known = kernel_folders().own
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    own = kernel_folders.__wrapped__().own  # asked anew
    shutil.copytree(known, own, ignore=shutil.ignore_patterns("*.tmp.*"))
    done = ttrace("warm-up")
    assert done.returncode == 0, done.stderr
    assert "kernels compiled" in done.stderr
    assert "Traceback" not in done.stderr
    where = Path(done.stdout.splitlines()[0].partition(", in ")[2])
    assert where == own
    before = {path.name: path.stat().st_mtime_ns for path in where.iterdir()}
    for arguments in (FILES, [FILES[0]], [*FILES, "--explain", "master:100"], [*FILES, "--format", "json"]):
        assert ttrace("correlate", *arguments).returncode == 0
    assert ttrace("show", FILES[0]).returncode == 0
    assert {path.name: path.stat().st_mtime_ns for path in where.iterdir()} == before


def test_a_warm_up_that_can_keep_nothing_says_so_in_one_line():
    done = ttrace("warm-up", NUMBA_CACHE_DIR="/proc/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("error: compiled kernels cannot be kept in `/proc/nonexistent")
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_every_kernel_is_kept_by_our_decorator():
    for package in ("capture", "correlate", "pcapng", "report"):
        for path in (ROOT / package).rglob("*.py"):
            assert "import njit" not in path.read_text().replace("njit import njit", ""), path


OTHER = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
PLANTED = """
import pickle, sys
class Planted:
    def __reduce__(self):
        return open, (sys.argv[1], "w")
pickle.dump(Planted(), sys.stdout.buffer)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """(A package, a folder of kernels compiled of it): what a test spoils it copies first."""
    place = tmp_path_factory.mktemp("kept")
    root = make_package(place)
    assert asked(root, NUMBA_CACHE_DIR=str(place / "chosen")) == (3, 2)
    return root, place / "chosen"


def spoil(chosen, mark, what):
    """Plant code that makes the file `mark`, where it runs, in all kernels; then let `what` be another's."""
    planted = subprocess.run([sys.executable, "-c", PLANTED, str(mark)], capture_output=True, check=True).stdout
    (deepest,) = kernel_folders_in(chosen)
    for file in deepest.iterdir():
        file.write_bytes(planted)
    if what == "its files belong to another user":
        for file in deepest.iterdir():
            os.chown(file, OTHER, OTHER)
    elif what == "everybody may write its files":
        for file in deepest.iterdir():
            file.chmod(0o666)
    elif what == "its files are links to another's":
        for file in list(deepest.iterdir()):
            file.rename(mark.parent / file.name)
            os.chown(mark.parent / file.name, OTHER, OTHER)
            file.symlink_to(mark.parent / file.name)
    elif what == "it belongs to another user":
        os.chown(deepest, OTHER, OTHER)
    elif what == "everybody may write in it":
        deepest.chmod(0o777)
    elif what == "a folder above it belongs to another user":
        os.chown(chosen, OTHER, OTHER)
    elif what == "everybody may write in a folder above it":
        chosen.chmod(0o777)


@needs_root
@pytest.mark.parametrize(
    "what",
    [
        pytest.param(
            what,
            id=what,
            marks=pytest.mark.fault(
                "compiled code", f"a folder of kernels with planted ones: {what}", "none is loaded, right results"
            ),
        )
        for what in (
            "its files belong to another user",
            "everybody may write its files",
            "its files are links to another's",
            "it belongs to another user",
            "everybody may write in it",
            "a folder above it belongs to another user",
            "everybody may write in a folder above it",
        )
    ],
)
def test_kernels_that_another_user_could_have_written_are_not_loaded(kept, tmp_path, what):
    root, seed = kept
    chosen, mark = tmp_path / "chosen", tmp_path / "ran"
    shutil.copytree(seed, chosen)
    spoil(chosen, mark, what)
    before = {path: path.stat().st_mtime_ns for path in chosen.rglob("*")}
    assert asked(root, NUMBA_CACHE_DIR=str(chosen))[0] == 3
    assert not mark.exists()
    if "files" not in what:
        assert {path: path.stat().st_mtime_ns for path in chosen.rglob("*")} == before
    else:  # ours have taken their place
        files = [path for path in chosen.rglob("*") if not path.is_dir()]
        assert {(path.lstat().st_uid, path.lstat().st_mode) for path in files} == {(0, 0o100644)}


@needs_root
def test_what_is_planted_where_root_alone_may_write_would_run(kept, tmp_path):
    """Else the test above would show nothing."""
    root, seed = kept
    chosen, mark = tmp_path / "chosen", tmp_path / "ran"
    shutil.copytree(seed, chosen)
    spoil(chosen, mark, "nothing")
    assert asked(root, NUMBA_CACHE_DIR=str(chosen))[0] == 3
    assert mark.exists()


@needs_root
@pytest.mark.fault(
    "compiled code", "kernels are in a folder of another user", "one warning, or one line from `warm-up`"
)
def test_a_folder_that_is_not_trusted_is_said(tmp_path):
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    os.chown(chosen, OTHER, OTHER)
    done = ttrace("warm-up", NUMBA_CACHE_DIR=str(chosen))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        f"error: compiled kernels cannot be kept: `{chosen}` belongs to another user (uid {OTHER})"
    )
    done = ttrace("correlate", str(tmp_path / "absent.pcapng"), NUMBA_CACHE_DIR=str(chosen))
    assert done.stderr.splitlines()[0] == (
        f"warning: everything is compiled anew each time: `{chosen}` belongs to another user (uid {OTHER})"
    )
    assert list(chosen.iterdir()) == []


@pytest.mark.parametrize(
    "umask",
    [
        pytest.param(
            umask, marks=pytest.mark.fault("compiled code", f"kernels are compiled with umask {umask:03o}", result)
        )
        for umask, result in ((0, "nobody else may write them"), (0o077, "others may read them"))
    ],
)
def test_modes_do_not_depend_on_the_umask(package, folder, umask):
    before = os.umask(umask)
    try:
        assert asked(package, NUMBA_CACHE_DIR=str(folder / "a" / "b")) == (3, 2)
    finally:
        os.umask(before)
    made = [folder / "a", *(folder / "a").rglob("*")]
    assert {path.stat().st_mode & 0o7777 for path in made if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o7777 for path in made if path.is_file()} == {0o644}
    assert asked(package, NUMBA_CACHE_DIR=str(folder / "a" / "b")) == (3, 0)


AS_OWNER = [
    "setpriv",
    f"--reuid={OTHER}",
    f"--regid={OTHER}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
]
"""Before a command: as a user, who may read Python wherever it is."""


@needs_root
@pytest.mark.fault(
    "compiled code", "`sudo .venv/bin/ttrace`: root, with sources and kernels of a user", "nothing is compiled anew"
)
def test_root_uses_the_kernels_of_the_owner_of_the_sources_and_the_owner_those_of_root(package, folder):
    folder.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, OTHER, OTHER)
    assert asked(package, before=AS_OWNER) == (3, 2)
    (kept,) = kernel_folders_in(package)
    assert kept.stat().st_uid == OTHER
    assert asked(package) == (3, 0)
    shutil.rmtree(kept)
    assert asked(package, before=[]) == (3, 2)
    assert kept.stat().st_uid == 0
    assert asked(package, before=AS_OWNER, XDG_CACHE_HOME=str(folder / "home")) == (3, 0)


def test_a_folder_made_by_another_meanwhile_is_not_used(tmp_path):
    """Between looking for it and making it: what counts is who has it then."""
    folder = tmp_path / "kernels"
    assert why_not_trusted(folder) is None
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "planted").write_bytes(b"")
    with pytest.raises(PermissionError, match="can be written by everybody"):
        make_folder(folder)
    with pytest.raises(PermissionError, match="can be written by everybody"):
        read_file(folder / "planted")
