"""Mutants: of bytes, of records (blocks, messages, lines), and of JSON values. What a seed and a number give is always
the same."""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 300_000
"""Of a mutant: hostile shapes of any size have tests of their own (tests/test_hostile_shapes.py)."""
WORDS = (0, 1, 2, 3, 4, 7, 8, 12, 16, 20, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
         0xFFFFFFFC, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip


def byte_mutant(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """One to eight small changes."""
    changed = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        if not changed:
            changed += rng.randbytes(rng.randrange(1, 64))
        rng.choice(_CHANGES)(rng, changed, others)
    return bytes(changed[:MOST_BYTES])


def _place(rng: random.Random, data: bytearray) -> int:
    # Lengths and types stand in front.
    return rng.randrange(min(len(data), 64) if rng.random() < 0.4 else len(data))


def _flip(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(rng, data)] = rng.randrange(256)


def _word(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    size = rng.choice((2, 4, 4, 8))
    at = _place(rng, data) // size * size
    value = rng.choice((*WORDS, len(data), len(data) + 1, at)) + rng.choice((0, 0, 0, 1, -1, 4, -4))
    data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))


def _add(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 4))
    at, order = _place(rng, data) // size * size, rng.choice(("little", "big"))
    value = int.from_bytes(data[at : at + size], order) + rng.randrange(-36, 37)
    data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, order)


def _cut(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 8, rng.randrange(1, 200)))]


def _end(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[_place(rng, data) :]


def _double(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _place(rng, data)
    piece = data[at : at + rng.choice((1, 4, 8, rng.randrange(1, 200)))]
    data[at:at] = piece * rng.choice((1, 1, 1, 3, 50))


def _move(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at, to, size = _place(rng, data), _place(rng, data), rng.randrange(1, 64)
    data[to : to + size] = data[at : at + size]


def _noise(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = _place(rng, data)
    size = rng.randrange(1, 32)
    data[at : at + rng.choice((0, size))] = rng.randbytes(size)


def _of_another(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others) if others else bytes(data)
    if other:
        at, start = _place(rng, data), rng.randrange(len(other))
        piece = other[start : start + rng.randrange(1, 300)]
        data[at : at + rng.choice((0, len(piece)))] = piece


_CHANGES: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip, _flip, _byte, _byte, _word, _word, _word, _add, _add, _cut, _end, _double, _move, _noise, _of_another,
)  # fmt: skip


@dataclass(frozen=True)
class Records:
    """How an input is taken apart and put together again."""

    split: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]

    def mutant(self, rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
        """Records moved, doubled, left out, and some of them damaged; lengths around them right, as a rule."""
        records = self.split(data)
        if not records or rng.random() < 0.1:
            return byte_mutant(rng, data, others)
        for _ in range(rng.randrange(3)):
            self._rearrange(rng, records, others)
        for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
            at = rng.randrange(len(records))
            records[at] = byte_mutant(rng, records[at], records[:50])
        made = self.join(records)[:MOST_BYTES]
        return byte_mutant(rng, made, others) if rng.random() < 0.15 else made

    def _rearrange(self, rng: random.Random, records: list[bytes], others: Sequence[bytes]) -> None:
        at, how = rng.randrange(len(records)), rng.randrange(6)
        if how == 0 and len(records) > 1:
            del records[at : at + rng.choice((1, 1, len(records) // 2))]
            if not records:
                records.append(b"")
        elif how == 1:
            records[at:at] = records[at : at + rng.choice((1, 1, 5, 50))] * rng.choice((1, 1, 2, 40))
        elif how == 2:
            to = rng.randrange(len(records))
            records[at], records[to] = records[to], records[at]
        elif how == 3:
            records.append(records[at])
        elif how == 4 and others:
            records[at:at] = self.split(rng.choice(others))[: rng.choice((1, 5, 500))]
        else:
            rng.shuffle(records)


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, 1e308, float("inf"),
    float("nan"), "", "\0", "\ud800", "\udcff", "\x1b[31m", "a\nb", "\u202e", "x" * 70_000, [], {}, [[]], [{}],
    {"": ""}, "root", "10.0.0.1", "::", "00:00:00:00:00:00", "[" * 3000, [None], ["x"] * 500, {"\ud800": "\udfff"},
)  # fmt: skip


def json_mutant(rng: random.Random, value: Any) -> Any:
    """The same JSON value with one to four places changed."""
    value = deepcopy(value)
    for _ in range(1 << rng.randrange(3)):
        places = list(_places(value))
        if not places:
            return deepcopy(rng.choice(ODD))
        holder, key = rng.choice(places)
        how = rng.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.extend(holder[key : key + 1] * rng.choice((1, 30)))
        elif how == 2:
            other, its = rng.choice(places)
            holder[key] = deepcopy(other[its])
        elif how == 3 and isinstance(holder[key], str):
            text = holder[key].encode("utf-8", "surrogatepass")
            holder[key] = byte_mutant(rng, text).decode("utf-8", "surrogateescape")
        elif how == 4 and isinstance(holder[key], int):
            holder[key] += rng.choice((1, -1, 2**31, -(2**31), 2**62))
        else:
            holder[key] = deepcopy(rng.choice(ODD))
    return value


def _places(value: Any) -> Any:
    """(container, key) of every value inside."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
