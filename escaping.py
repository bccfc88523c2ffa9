"""What comes from a file, the kernel or an argument is shown to people as text, never as orders to their terminal.

`escape` is the one function for it. Two walls use it: what a text is laid out of is made safe first (`safe`, so that no
value can begin a line), and all that is written to a terminal passes a `Guarded` stream, which lets line ends through
and nothing else, whoever wrote it.
"""

import dataclasses
import operator
from functools import cache
from typing import Any, Final, TextIO, TypeVar

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u034f")
"""Letters by their category that show nothing, or join what stands beside them: fillers."""
_CONTROLS: Final = bytes(code for code in (*range(0x20), 0x7F) if code != ord("\n"))
"""All of ASCII that is not shown, but line ends."""
_BYTE: Final = range(0xDC80, 0xDD00)
"""What Python makes of a byte that is no UTF-8 (PEP 383)."""

Value = TypeVar("Value")


def escape(text: str) -> str:
    r"""The text with all escaped that is no visible character or blank: `\x1b`, `\u202e`.

    That is what Unicode calls other or separator, but the blank: controls (C0, DEL, C1), line ends, what turns the
    direction of text, what has no width, lone surrogates (a byte that is no UTF-8 is shown as itself, `\xff`), and what
    is not assigned. A backslash stays one: rules and unit names hold them, and it gives no orders.
    """
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(
        one if one.isprintable() and one not in _INVISIBLE else _SHORT.get(one) or _code(ord(one)) for one in text
    )


def _code(code: int) -> str:
    if code in _BYTE:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_lines(text: str) -> str:
    """The same for a text of lines that ttrace laid out: their ends stay."""
    if text.isascii():
        data = text.encode()
        if len(data.translate(None, _CONTROLS)) == len(data):  # a tenth of the time: JSON may be a gigabyte of it
            return text
    if text.replace("\n", "").isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "\n".join(escape(line) for line in text.split("\n"))


def safe(value: Value) -> Value:
    """The value with every text in it escaped: in dataclasses, named tuples, tuples, lists and dictionaries. What needs
    no change is the same object."""
    made: Value = _safe(value, {})
    return made


def _safe(value: Any, known: dict[int, Any]) -> Any:  # noqa: ANN401 - any value
    """`known`: dictionaries by their identity, which many values may share."""
    kind: Any = type(value)
    if kind is str:
        return escape(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind in (tuple, list):
        made = [_safe(one, known) for one in value]
        return value if all(map(operator.is_, made, value)) else kind(made)
    if kind is dict:
        if id(value) not in known:
            known[id(value)] = {_safe(key, known): _safe(one, known) for key, one in value.items()}
        return known[id(value)]
    changed = {}
    for name in _fields(kind):
        old = getattr(value, name)
        new = _safe(old, known)
        if new is not old:
            changed[name] = new
    if not changed:
        return value
    return value._replace(**changed) if issubclass(kind, tuple) else dataclasses.replace(value, **changed)


@cache
def _fields(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - a class
    """The fields of a class of values; none of another class."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    return getattr(kind, "_fields", ()) if issubclass(kind, tuple) else ()


class Guarded:
    """A text stream that escapes what is written to it, but for line ends; all else is that of the stream behind it.

    What the stream's encoding does not have is escaped too: a terminal of another encoding ends no program.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        return self.unguarded.write(escape_lines(text) if isinstance(text, str) else text)

    def writelines(self, lines: Any) -> None:  # noqa: ANN401 - as of TextIO
        """Write the texts, escaped."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self.unguarded, name)


def guard(stream: Any) -> Any:  # noqa: ANN401 - None where a process has no such stream
    """The stream, guarded (once)."""
    return stream if stream is None or isinstance(stream, Guarded) else Guarded(stream)


def unguarded(stream: Any) -> TextIO:  # noqa: ANN401 - guarded or not
    """The stream itself, for who moves the cursor and escapes the rest."""
    behind: TextIO = stream.unguarded if isinstance(stream, Guarded) else stream
    return behind
