"""How lines are laid out: wrapped, in columns, and lists cut short."""

import textwrap
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 140


def wrapped(text: str, first: str, others: str) -> list[str]:
    """Lines that are not too long; `first` and `others` are put before the first and the others."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, drop_whitespace=True
    )


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The cells in columns, two spaces in and two between."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]


def first_of(names: Sequence[str], most: int, what: str = "more") -> str:
    """`#1, #2 and 3 more`: no more than `most` of the names."""
    more = f" and {len(names) - most:,} {what}" if len(names) > most else ""
    return ", ".join(names[:most]) + more
