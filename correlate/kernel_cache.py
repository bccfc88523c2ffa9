"""Numba keeps compiled kernels by the age of their own file, and does not see that a kernel they call has changed."""

from pathlib import Path


def drop_stale_kernels() -> None:
    """Remove compiled kernels that are older than the newest source of any kernel, so that they are compiled again.

    Without it, an update could leave a kernel that hashes packets in the old way beside one that does in the new.
    """
    root = Path(__file__).parents[1]
    sources = [path for folder in ("correlate", "pcapng") for path in (root / folder).glob("*.py")]
    compiled = [path for folder in ("correlate", "pcapng") for path in (root / folder / "__pycache__").glob("*.nb?")]
    try:
        newest = max(path.stat().st_mtime for path in sources)
        stale = [path for path in compiled if path.stat().st_mtime < newest]
        for path in stale:
            path.unlink()
    except OSError:
        return  # a package that cannot be written, or another process that does the same
