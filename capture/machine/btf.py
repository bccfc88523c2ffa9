"""What the running kernel's structures look like: offsets of members, members of enums, arguments of tracepoints.

The kernel describes its own types (BTF, /sys/kernel/btf/vmlinux): some 130,000, of which a dozen are asked for. So
types are found by searching for their names, and the records are only gone through, without looking at them, as far as
a type is referred to by its number.

Source: Documentation/bpf/btf.rst, linux/btf.h.
"""

import struct
from array import array
from pathlib import Path
from typing import Final

VMLINUX: Final = Path("/sys/kernel/btf/vmlinux")

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("=HBBIIIII")
"""struct btf_header: magic, version, flags, its length, then offset and length of the types and of the strings."""
_STRUCT, _UNION, _ENUM, _TYPEDEF, _ENUM64 = 4, 5, 6, 8, 19
"""BTF_KIND_*; so the next two."""
_POINTER, _FUNCTION = 2, 13
_QUALIFIERS: Final = frozenset({_TYPEDEF, 9, 10, 11, 18})  # also volatile, const, restrict, type tags
_RECORD_WORDS: Final = 3
"""struct btf_type: name, info, size or type."""
_FIXED_WORDS: Final = {1: 1, 3: 3, 14: 1, 17: 1}
"""Words behind the record by its kind: of an integer, an array, a variable, a declaration's tag."""
_MEMBER_WORDS: Final = {_STRUCT: 3, _UNION: 3, _ENUM: 2, _FUNCTION: 2, 15: 3, _ENUM64: 3}
"""Words of each member behind it."""
_NAME_BYTES: Final = 4


class Btf:
    """The types of one kernel."""

    def __init__(self, data: bytes) -> None:
        """Of the content of a BTF file. Raises ValueError for what is none, and later where it is damaged."""
        if len(data) < _HEADER.size:
            raise ValueError("no BTF: too short")
        magic, _, _, length, types_at, types_bytes, names_at, names_bytes = _HEADER.unpack_from(data)
        if magic != _MAGIC or length + names_at + names_bytes > len(data) or types_at % 4 or types_bytes % 4:
            raise ValueError("no BTF, or of another byte order")
        start = length + types_at
        self._types = data[start : start + types_bytes]
        self._words = memoryview(self._types).cast("I")
        self._names = data[length + names_at : length + names_at + names_bytes]
        self._places = array("I", [0])
        """Word at which the type of each number begins, as far as they have been gone through; 0 is void."""
        self._next_word = 0

    @classmethod
    def of_kernel(cls) -> "Btf":
        """Of the one that runs. Raises OSError, ValueError."""
        return cls(VMLINUX.read_bytes())

    def offset(self, path: str) -> int:
        """Offset in bytes of a member: `sk_buff.dev`, `net.ns.inum`. Raises KeyError where there is none."""
        name, *members = path.split(".")
        at = self._named(name, _STRUCT)
        total = 0
        for position, member in enumerate(members):
            found = self._member(at, member)
            if found is None:
                raise KeyError(path)
            bits, kind = found
            total += bits
            if position + 1 < len(members):
                at = self._place(self._plain(kind))
        if total % 8:
            raise KeyError(path)
        return total // 8

    def enum(self, name: str) -> dict[int, str]:
        """Number to name of an enum's members. Raises KeyError."""
        words, at = self._words, self._named(name, _ENUM)
        first = at + _RECORD_WORDS
        return {
            words[word + 1]: self._text(words[word]) for word in range(first, first + 2 * (words[at + 1] & 0xFFFF), 2)
        }

    def arguments(self, typedef: str) -> list[str]:
        """What each argument of a function behind a typedef (`btf_trace_…`) is, in order: the name of its type,
        `*` behind it for a pointer. Raises KeyError."""
        words = self._words
        at = self._place(self._plain(words[self._named(typedef, _TYPEDEF) + 2]))
        if self._kind(at) == _POINTER:
            at = self._place(self._plain(words[at + 2]))
        if self._kind(at) != _FUNCTION:
            raise KeyError(typedef)
        first = at + _RECORD_WORDS
        return [self._type_name(words[word + 1]) for word in range(first, first + 2 * (words[at + 1] & 0xFFFF), 2)]

    def _type_name(self, number: int) -> str:
        number = self._plain(number)
        if number == 0:
            return "void"
        at = self._place(number)
        if self._kind(at) == _POINTER:
            return self._type_name(self._words[at + 2]) + "*"
        return self._text(self._words[at])

    def _member(self, at: int, name: str) -> tuple[int, int] | None:
        """(offset in bits, number of its type) of a member, also of members without a name within; None for none."""
        words = self._words
        info = words[at + 1]
        wanted = name.encode()
        for word in range(at + _RECORD_WORDS, at + _RECORD_WORDS + 3 * (info & 0xFFFF), 3):
            # With the flag, the upper byte is the size of a bit field.
            bits = words[word + 2] & 0xFFFFFF if info >> 31 else words[word + 2]
            own = words[word]
            if own and self._names.startswith(wanted + b"\0", own):
                return bits, words[word + 1]
            inner = self._place(self._plain(words[word + 1])) if own == 0 else at
            if own == 0 and self._kind(inner) in (_STRUCT, _UNION):
                found = self._member(inner, name)
                if found is not None:
                    return bits + found[0], found[1]
        return None

    def _plain(self, number: int) -> int:
        """The type behind typedefs and qualifiers."""
        while number and self._kind(self._place(number)) in _QUALIFIERS:
            number = self._words[self._place(number) + 2]
        return number

    def _kind(self, at: int) -> int:
        return self._words[at + 1] >> 24 & 31

    def _named(self, name: str, kind: int) -> int:
        """Word at which the type with this name begins. Raises KeyError.

        Its record is the one that begins with the place of its name: those of members and arguments do as well, but
        have the number of a type behind it, which is too small to say a kind.
        """
        at_name = self._names.find(b"\0" + name.encode() + b"\0") + 1
        pattern = at_name.to_bytes(_NAME_BYTES, "little")
        at = self._types.find(pattern) if at_name else -1
        while at >= 0:
            word = at // 4
            if at % 4 == 0 and word + 2 < len(self._words) and self._kind(word) == kind:
                return word
            at = self._types.find(pattern, at + 1)
        raise KeyError(name)

    def _text(self, at: int) -> str:
        return self._names[at : self._names.index(b"\0", at)].decode()

    def _place(self, number: int) -> int:
        """Word at which type `number` begins; goes through the records as far as that one."""
        places, words, word = self._places, self._words, self._next_word
        if number >= len(places):
            fixed = [_RECORD_WORDS + _FIXED_WORDS.get(kind, 0) for kind in range(32)]
            each = [_MEMBER_WORDS.get(kind, 0) for kind in range(32)]
            add = places.append
            for _ in range(number + 1 - len(places)):
                if word + 1 >= len(words):
                    raise ValueError("damaged BTF")
                add(word)
                info = words[word + 1]
                kind = info >> 24 & 31
                word += fixed[kind] + each[kind] * (info & 0xFFFF)
            self._next_word = word
        return places[number]
