"""A Python for aarch64 out of Debian's packages, and qemu to run it."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".venv" / "aarch64"
_PACKAGES = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "zlib1g", "libexpat1", "libffi8",
)  # fmt: skip


def arm_python() -> list[str]:
    """The beginning of a command; downloads 7 MB when it is first asked for."""
    root = CACHE / "root"
    if not (root / "usr/bin/python3.11").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        _unpack(CACHE, root)
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    assert emulator, "qemu-user is not installed"
    return [emulator, "-L", str(root), "-E", f"PYTHONHOME={root}/usr", f"{root}/usr/bin/python3.11"]


def _unpack(cache: Path, root: Path) -> None:
    """With lists of packages of its own: those of the machine stay as they are."""
    for name in ("lists/partial", "archives/partial", "packages"):
        (cache / name).mkdir(parents=True)
    (cache / "status").touch()
    options = {
        "APT::Architecture": "arm64", "APT::Architectures::": "arm64", "Dir::State::lists": cache / "lists",
        "Dir::State::status": cache / "status", "Dir::Cache": cache, "APT::Sandbox::User": "root",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True, timeout=120)
    subprocess.run([*apt, "download", *_PACKAGES], check=True, timeout=120, cwd=cache / "packages")
    made = root.with_suffix(f".{os.getpid()}")
    for package in (cache / "packages").iterdir():
        subprocess.run(["dpkg", "--extract", str(package), str(made)], check=True)
    made.rename(root)
