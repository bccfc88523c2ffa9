"""A Python for aarch64 out of Debian's packages, and qemu to run it."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".venv" / "aarch64"
_PACKAGES = ("python3-minimal", "libpython3-stdlib")
"""Of whichever Debian this is; what they need comes with them."""


def arm_python() -> list[str]:
    """The beginning of a command; downloads 15 MB when it is first asked for."""
    root = CACHE / "root"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        _unpack(CACHE, root)
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    assert emulator, "qemu-user is not installed"
    return [emulator, "-L", str(root), "-E", f"PYTHONHOME={root}/usr", f"{root}/usr/bin/python3"]


def _unpack(cache: Path, root: Path) -> None:
    """With lists of packages of its own: those of the machine stay as they are."""
    for name in ("lists/partial", "archives/partial"):
        (cache / name).mkdir(parents=True)
    (cache / "status").touch()
    options = {
        "APT::Architecture": "arm64", "APT::Architectures::": "arm64", "Dir::State::lists": cache / "lists",
        "Dir::State::status": cache / "status", "Dir::Cache": cache, "APT::Sandbox::User": "root",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True, timeout=120)
    wanted = ["--yes", "--no-install-recommends", "--download-only", "install", *_PACKAGES]
    subprocess.run([*apt, *wanted], check=True, timeout=120, stdout=subprocess.DEVNULL)
    made = root.with_suffix(f".{os.getpid()}")
    for package in (cache / "archives").glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(package), str(made)], check=True)
    if not (made / "lib").exists():  # since Debian 13 all packages lie below /usr, and base-files has the link
        (made / "lib").symlink_to("usr/lib")
    made.rename(root)
