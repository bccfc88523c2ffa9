"""The wheel: all that ttrace needs at run time, for one Python and one machine, with nothing left to compile."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEMO = [str(ROOT / "pcaps" / "docker-demo" / f"{node}.pcapng") for node in ("master", "slave")]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tests", "bench", "build", "dist", "*.egg-info")
WITHOUT_A_COMPILER = """
import sys
sys.modules |= dict.fromkeys(("numba", "llvmlite"))  # to import them is an error
import ttrace
assert ttrace.__file__.startswith(sys.path[1]), ttrace.__file__
from ttrace.cli import main
main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, for a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    build = [*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel) -> Path:
    folder = wheel.parent / "installed"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def ttrace(installed: Path, *arguments: str) -> str:
    """What it prints, with this Python's other packages but neither a compiler nor this checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", WITHOUT_A_COMPILER, *arguments]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_it_is_for_this_python_and_machine(wheel):
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{version}-{version}-linux_{os.uname().machine}.whl" in wheel.name


def test_its_name_says_with_which_c_library_it_runs(wheel, tmp_path):
    """As `make wheel` has it: all that this needs is in glibc 2.31 or older."""
    found = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["auditwheel", "repair", "--wheel-dir", str(tmp_path), str(wheel)]
    subprocess.run(command, check=True, capture_output=True, env=found, timeout=120)
    (named,) = tmp_path.glob("*.whl")
    system, machine = named.stem.rpartition("-")[2].split("_", 1)
    assert system == "manylinux"
    assert [int(one) for one in machine.split("_")[:2]] <= [2, 31]


def test_it_has_all_kernels_and_no_tests(installed):
    assert not (installed / "ttrace" / "tests").exists()
    assert list((installed / "ttrace" / "kernels" / "compiled").glob("kernels*.so"))
    assert list((installed / "ttrace" / "capture" / "objects").glob(f"capture-{os.uname().machine}-*.so"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_it_correlates_as_the_checkout_does_and_compiles_nothing(installed, form):
    told = ttrace(installed, "correlate", "--format", form, *DEMO)
    command = [sys.executable, "-c", "from ttrace.cli import main; main()", "correlate", "--format", form, *DEMO]
    assert told == subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout != ""


@pytest.mark.root
def test_its_capture_compiles_nothing(installed):
    capture = "import ttrace.capture.stream.ready as ready; assert ready.ahead() is not None"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", capture], env=environment, cwd="/", check=True, timeout=60)
    assert "capture" in ttrace(installed, "doctor")
