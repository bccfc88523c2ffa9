"""Attributes of the few messages that are read one by one, not in compiled loops."""

from collections.abc import Iterator

from .numbers import NLA_HDRLEN, NLA_TYPE_MASK


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute, up to the first that lies about its length."""
    at = 0
    while at + NLA_HDRLEN <= len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        if length < NLA_HDRLEN or at + length > len(data):
            return
        yield int.from_bytes(data[at + 2 : at + 4], "little") & NLA_TYPE_MASK, data[at + NLA_HDRLEN : at + length]
        at += (length + 3) & ~3


def by_type(data: bytes) -> dict[int, bytes]:
    """The attributes of which there is one of a type each."""
    return dict(attributes(data))


def number(value: bytes | None, default: int = 0) -> int:
    """A number of nf_tables, which are big-endian and have 8 bytes at most; `default` for an attribute that is not
    there."""
    return int.from_bytes(value[:8], "big") if value else default


def name(value: bytes | None) -> str:
    """A name, which ends with a zero."""
    return (value or b"").split(b"\0", 1)[0].decode(errors="replace")
