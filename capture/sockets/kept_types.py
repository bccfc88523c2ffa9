"""What the running kernel says of its types, kept from one capture to the next: to look for it takes 30 ms.

A file beside the compiled kernels, named by the kernel that runs (its build id) and by the sources of what looks.
"""

import json
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ...kernels.folders import fingerprint_of, kernel_folders, make_kernel_folder
from ...kernels.kept_files import forget_others, read_file, writing
from ..machine import btf
from .drop_types import DropTypes

_NOTES: Final = Path("/sys/kernel/notes")
"""ELF notes of the running kernel, with its build id."""
_NAME: Final = "drop-types-"


def types_of_kernel() -> DropTypes:
    """What has to be known of the kernel that runs. Raises OSError, KeyError, ValueError as `DropTypes.of`."""
    name, folders = _name(), kernel_folders()
    for folder in (folders.own, folders.packaged) if name else ():
        if folder is not None:
            with suppress(OSError, ValueError, KeyError, TypeError):
                return DropTypes.restored(json.loads(read_file(folder / name)))
    types = DropTypes.of(btf.Btf.of_kernel())
    if name and folders.own is not None:
        with suppress(OSError):
            make_kernel_folder(folders.own)
            forget_others(folders.own, _NAME, fingerprint_of(DropTypes.__module__.partition(".")[2]))
            with writing(folders.own / name) as file:
                file.write(json.dumps(asdict(types)).encode())
    return types


def _name() -> str:
    """Of the file; empty where the kernel cannot be told from others."""
    try:
        kernel = _NOTES.read_bytes() + str(btf.VMLINUX.stat().st_size).encode()
        sources = fingerprint_of(DropTypes.__module__.partition(".")[2])
    except OSError:
        return ""
    return f"{_NAME}{blake2b(kernel, digest_size=12).hexdigest()}-{sources}"
