"""What a rule in nft's words asks of a packet.

A rule is read from the left: what it looks at (an operand), what it has to be (an operator and a value, a set, a map),
and statements, which ask nothing unless they look something up. What is not known here cannot be evaluated, and ends
where the next thing begins that is known.
"""

from collections.abc import Callable
from typing import Final

from ..protocols import ICMPV6
from .conditions import CT_STATES, CT_STATUSES, TCP_FLAGS, Condition, Fact, Span, Wanted, cannot
from .nft_operands import Operand, begins_operand, read_operand
from .nft_sets import Elements, elements_of, inline_keys
from .nft_words import NftWords
from .values import ANYTHING, ICMP_TYPES, ICMPV6_TYPES, bits, number_of, value_of

Named = Callable[[str], Elements | None]
"""What is in a set or map, by its name; None where that was not recorded."""
_OPERATORS: Final = {
    "==": "==", "eq": "==", "!=": "!=", "ne": "!=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "le": "<=",
    ">=": ">=", "ge": ">=",
}  # fmt: skip
_ENDS: Final = frozenset(
    {"accept", "drop", "return", "continue", "jump", "goto", "reject", "queue", "masquerade", "redirect", "notrack",
     "synproxy", "flow", "dup", "fwd"}
)  # fmt: skip
"""Behind these nothing is asked any more."""
_LOOKING_UP: Final = frozenset({"dnat", "snat", "tproxy"})
"""So it is behind these, but for a map that says where to."""
_BITS: Final = frozenset({Fact.CT_STATE, Fact.CT_STATUS, Fact.TCP_FLAGS})
_NO_SET: Final = "what was in the set is not recorded"


def nft_conditions(text: str, named: Named) -> list[Condition]:
    """The conditions of a rule, in its order; `named` tells what sets hold."""
    reader = _Reader(NftWords(text), named)
    while not reader.words.ended:
        if not reader.statement():
            reader.match()
    return reader.found


class _Reader:
    def __init__(self, words: NftWords, named: Named) -> None:
        self.words, self.named = words, named
        self.found: list[Condition] = []

    def statement(self) -> bool:
        """Read a statement; False where none begins."""
        words, begin = self.words, self.words.at
        if words.next in _ENDS:
            words.leave()
        elif words.next in _LOOKING_UP:
            self._destination()
        elif words.accept("counter"):
            while words.next in ("packets", "bytes", "name"):
                words.skip(2)
        elif words.accept("comment"):
            words.skip()
        elif words.accept("log"):
            self._log()
        elif words.accept("xt"):
            kind, name = words.take(), words.take().strip('"')
            if kind == "target":
                words.leave()
            elif name != "comment":
                self.found.append(cannot(words.since(begin), "its words were not recorded"))
        elif words.next in ("limit", "quota", "meter"):
            words.skip()
            self._unknown(begin)
        elif words.next in ("add", "update", "delete"):
            words.skip()
            words.skip()  # @set
            inner = words.braces() if words.next == "{" else ""
            if "limit" in inner or "ct count" in inner or "quota" in inner:
                self.found.append(cannot(words.since(begin)))
        else:
            return False
        return True

    def _log(self) -> None:
        while self.words.next in ("prefix", "level", "group", "snaplen", "queue-threshold", "flags"):
            kind = self.words.take()
            self.words.skip()
            if kind == "flags" and self.words.next in ("sequence", "options", "sequence,options"):
                self.words.skip()

    def _destination(self) -> None:
        """Where to: a map, of which the key has to be there, or anything that asks nothing."""
        words = self.words
        while not words.ended and not words.accept("to"):
            words.skip()
        begin = words.at
        operand = read_operand(words)
        if operand is not None and words.accept("map"):
            self._lookup(operand, begin, negated=False)
        words.leave()

    def match(self) -> None:
        """Read one thing that is asked for."""
        words, begin = self.words, self.words.at
        operand = read_operand(words)
        if operand is None:
            words.skip()
            self._unknown(begin)
            return
        if words.accept("set"):
            self._set_value()
            return
        if not operand.known:
            self._unknown(begin)
            return
        mask = self._mask() if words.next in ("&", "and") else None
        operator = _OPERATORS.get(words.next)
        if operator:
            words.skip()
        negated = operator == "!=" or (operator is None and words.accept("!"))
        if words.accept("vmap") or words.accept("map") or words.next == "{" or words.next.startswith("@"):
            self._lookup(operand, begin, negated=negated)
            return
        self._compare(operand, begin, operator, mask, negated=negated)

    def _set_value(self) -> None:
        """A mark, a priority, … is set: only a map can fail."""
        words = self.words
        begin = words.at
        operand = read_operand(words)
        if operand is None:
            words.skip()
        elif words.accept("map"):
            self._lookup(operand, begin, negated=False)
        while words.next in ("&", "|", "^", "<<", ">>", "and", "or", "xor"):
            words.skip()
            words.skip()

    def _unknown(self, begin: int) -> None:
        """All up to the next thing that is known."""
        words = self.words
        while not (words.ended or words.next in _ENDS or words.next in _LOOKING_UP or self._begins()):
            words.skip()
        self.found.append(cannot(words.since(begin)))

    def _begins(self) -> bool:
        known = ("counter", "comment", "log", "xt", "limit", "add", "update", "delete")
        return self.words.next in known or begins_operand(self.words)

    def _mask(self) -> int | None:
        """`& 0x1`, `& (fin | syn)`: None where it is not understood."""
        self.words.skip()
        return bits(TCP_FLAGS, self.words.value())

    def _ask(
        self, operand: Operand, text: str, wanted: tuple[tuple[Wanted, ...], ...], mask: int | None = None, *,
        negated: bool = False,
    ) -> None:  # fmt: skip
        requires = tuple(
            Condition(text=text, facts=(fact,), wanted=tuple((Span(one, one),) for one in values))
            for fact, values in operand.implied
        )
        self.found.append(
            Condition(text=text, facts=operand.facts, wanted=wanted, mask=mask, negated=negated, requires=requires)
        )

    def _lookup(self, operand: Operand, begin: int, *, negated: bool) -> None:
        words = self.words
        shown = ""
        if words.next == "{":
            elements: Elements | None = inline_keys(words.braces())
        else:
            elements = self.named(words.take().removeprefix("@"))
            shown = f" {elements.shown}" if elements and not elements.changes else ""
        text = words.since(begin) + shown
        if elements is not None and elements.changes:
            self.found.append(cannot(text, "what is in the set changes with packets or time"))
            return
        choices = elements_of(operand.facts, elements, _icmp_names(operand)) if elements else None
        if not operand.known or elements is None or choices is None:
            self.found.append(cannot(text, _NO_SET if operand.known else "nothing that is recorded tells"))
            return
        self._ask(operand, text, choices, negated=negated)

    def _compare(self, operand: Operand, begin: int, operator: str | None, mask: int | None, *, negated: bool) -> None:
        value = self.words.value()
        while len(operand.facts) > 1 and self.words.accept("."):
            value += f" . {self.words.value()}"
        text = self.words.since(begin)
        if operand.facts[0] in _BITS and mask is None and (operator is None or "/" in value):
            self._bits(operand, text, value, negated=negated)
            return
        if operator in ("<", "<=", ">", ">="):
            self._bound(operand, text, operator, value)
            return
        names = _icmp_names(operand)
        wanted = tuple(
            value_of(fact, one, names) for fact, one in zip(operand.facts, value.split(" . "), strict=False)
        )  # fmt: skip
        if None in wanted or len(wanted) < len(operand.facts):
            self.found.append(cannot(text, "its value is not understood"))
            return
        choice = tuple(one for one in wanted if one is not None)
        self._ask(operand, text, (choice,), mask, negated=negated)

    def _bits(self, operand: Operand, text: str, value: str, *, negated: bool) -> None:
        """One of the bits is set, none with `!`; or these and no others of those behind the slash."""
        flags, slash, of = value.partition("/")
        names = _names_of_bits(operand.facts[0])
        wanted, mask = bits(names, flags), bits(names, of) if slash else None
        if wanted is None or (slash and mask is None):
            self.found.append(cannot(text, "its value is not understood"))
        elif slash:
            self._ask(operand, text, ((Span(wanted, wanted),),), mask, negated=negated)
        else:
            self._ask(operand, text, ((Span(0, 0),),), wanted, negated=not negated)

    def _bound(self, operand: Operand, text: str, operator: str, value: str) -> None:
        number = number_of(value)
        if number is None:
            self.found.append(cannot(text, "its value is not understood"))
            return
        spans = {
            "<": Span(0, number - 1), "<=": Span(0, number), ">": Span(number + 1, ANYTHING.high),
            ">=": Span(number, ANYTHING.high),
        }  # fmt: skip
        self._ask(operand, text, ((spans[operator],),))


def _names_of_bits(fact: Fact) -> dict[str, int]:
    return {Fact.CT_STATE: CT_STATES, Fact.CT_STATUS: CT_STATUSES}.get(fact, TCP_FLAGS)


def _icmp_names(operand: Operand) -> dict[str, int]:
    return ICMPV6_TYPES if (Fact.PROTOCOL, (ICMPV6,)) in operand.implied else ICMP_TYPES
