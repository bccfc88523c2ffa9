"""From a name to mapped bytes: plain files, compressed ones (gzip, zstd, lz4) and stdin.

What cannot be mapped as it is goes through a temporary file without a name, in small pieces: a capture of any size
needs little memory, and the room it takes is given back whatever happens (spool.py).
"""

import errno
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISFIFO, S_ISREG
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from ..errors import MACHINE_HINTS, TtraceError
from .shrinking import map_file
from .spool import Spool

_STDIN: Final = "-"

Check = Callable[[str, bytes], object]
"""Called with the name of a capture and its first bytes; raises TtraceError where they are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedSource:
    """The bytes of a capture."""

    name: str
    """For messages: the path, or `stdin`."""
    data: npt.NDArray[np.uint8]
    """The capture as pcapng or pcap (read-only mapping)."""
    cut: bool
    """It was compressed, and the compressed stream ends early or is damaged where `data` ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compression:
    """One way to compress."""

    magics: tuple[bytes, ...]
    piece: int
    """Bytes given to the decoder at once: no more than 64 MiB can come out of them."""
    decoder: Callable[[], tuple[Any, type[Exception]]]
    """Makes an object with `decompress`, `eof` and `unused_data`, like zlib's, and says what it raises."""


def _gzip() -> tuple[Any, type[Exception]]:
    return zlib.decompressobj(wbits=31), zlib.error


def _zstd() -> tuple[Any, type[Exception]]:
    import zstandard  # only when needed

    return zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError


def _lz4() -> tuple[Any, type[Exception]]:
    import lz4.frame  # only when needed

    return lz4.frame.LZ4FrameDecompressor(), RuntimeError


_COMPRESSIONS: Final = (
    _Compression(magics=(b"\x1f\x8b",), piece=1 << 14, decoder=_gzip),  # RFC 1952
    # RFC 8878; pzstd begins with a skippable frame. One block of 4 bytes can stand for 128 KiB.
    _Compression(magics=(b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"), piece=1 << 10, decoder=_zstd),
    _Compression(magics=(b"\x04\x22\x4d\x18",), piece=1 << 16, decoder=_lz4),
)


def map_source(
    path: Path | str, check: Check = lambda _name, _head: None, max_expanded: int | None = None
) -> MappedSource:
    """Map a capture file, or what stdin gives for `-`, without its compression. Raises TtraceError when it cannot be
    read.

    `check` is called with the name and the first four bytes before anything is copied, and may refuse them: what is no
    capture, and expands to a thousand times its size or never ends, must not fill the disk first. `max_expanded`: most
    bytes that may come out of a compressed file; default: see spool.py.
    """
    name = "stdin" if str(path) == _STDIN else str(path)
    try:
        with _open(path) as file:
            return _map(name, file, check, max_expanded)
    except OSError as error:
        raise TtraceError(f"cannot read `{name}`: {error.strerror or error}", _hint(error)) from error


def is_read_once(path: Path | str) -> bool:
    """Whether what it gives is gone once it is read: stdin, and pipes, such as the shell makes of `<(…)`."""
    if str(path) == _STDIN:
        return True
    try:
        return Path(path).is_fifo()
    except OSError:  # a name too long to be one
        return False


def _open(path: Path | str) -> BinaryIO:
    if str(path) == _STDIN:
        file = open(0, "rb", closefd=False)  # noqa: SIM115 - a descriptor; the caller closes it
    else:
        # Without O_NONBLOCK a named pipe that nobody writes to is waited for.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    mode = os.fstat(file.fileno()).st_mode
    if file.isatty():
        file.close()
        raise TtraceError(
            f"{'stdin' if str(path) == _STDIN else f'`{path}`'} is a terminal",
            "pipe a capture into it, such as `zcat node.pcapng.gz | ttrace correlate -`",
        )
    if S_ISFIFO(mode) and str(path) != _STDIN and Path(os.path.realpath(path)).exists():
        file.close()
        raise TtraceError(
            f"`{path}` is a named pipe, to which nobody may ever write", f"`ttrace … - < {path}` waits for it"
        )
    if str(path) != _STDIN:
        os.set_blocking(file.fileno(), True)
    return file


def _hint(error: OSError) -> str:
    if error.errno in (errno.ENXIO, errno.EISDIR):
        return "name a file; what a socket gives is read as `-`, from stdin"
    return MACHINE_HINTS.get(error.errno or 0, "check the name and the rights")


def _map(name: str, file: BinaryIO, check: Check, max_expanded: int | None) -> MappedSource:
    mode = os.fstat(file.fileno()).st_mode
    if S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    head = _read(file, 4)
    if not head:
        raise TtraceError(f"`{name}` is empty", "the capture wrote nothing; was it stopped before it began?")
    found = next((c for c in _COMPRESSIONS if head.startswith(c.magics)), None)
    if found is None and S_ISREG(mode) and file.tell() == len(head):
        return MappedSource(name=name, data=map_file(file.fileno(), name), cut=False)
    return _spool(name, file, head, found, check, max_expanded)


def _read(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: a pipe may hand out less at a time."""
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _spool(
    name: str, file: BinaryIO, head: bytes, compression: _Compression | None, check: Check, max_expanded: int | None
) -> MappedSource:
    """Copy to a temporary file without a name, and without the compression."""
    with Spool(name, max_expanded if compression else None) as spool:
        first = b""

        def write(data: bytes) -> None:
            nonlocal first
            if len(first) < len(head) <= len(first + data):
                check(name, (first + data)[: len(head)])
            first = (first + data)[: len(head)]
            spool.write(data)

        whole = True
        if compression is None:
            for piece in _pieces(file, head, 1 << 20):
                write(piece)
        else:
            pieces = spool.counted(_pieces(file, head, compression.piece))
            whole = _decompress(pieces, compression, write)
        if spool.size == 0:
            raise TtraceError(
                f"`{name}` holds nothing that can be decompressed", "was the file changed on its way here?"
            )
        return MappedSource(name=name, data=map_file(spool.descriptor, name), cut=not whole)


def _pieces(file: BinaryIO, head: bytes, size: int) -> Iterator[bytes]:
    yield head
    while piece := file.read(size):
        yield piece


def _decompress(pieces: Iterator[bytes], compression: _Compression, write: Callable[[bytes], None]) -> bool:
    """Write what the pieces stand for, frame by frame (`cat a.gz b.gz` is one stream); False where it ends early or is
    damaged."""
    decoder, damage = compression.decoder()
    started = False
    for piece in pieces:
        rest = piece
        while rest:
            if not started and not rest.strip(b"\0"):
                break  # padding behind the last frame, as tapes and block devices leave it
            started = True
            try:
                write(decoder.decompress(rest))
            except damage:
                return False
            if not decoder.eof:
                break
            rest = decoder.unused_data
            decoder, damage = compression.decoder()
            started = False
    return not started
