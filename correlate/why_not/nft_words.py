"""The words of a rule as nft lists it, read one after the other."""

import re
from typing import Final

_WORD: Final = re.compile(r'"[^"]*"|[{}()]|[^\s{}()"]+|"')


class NftWords:
    """A rule, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = list(_WORD.finditer(text))
        self.at = 0
        """The next word."""

    @property
    def ended(self) -> bool:
        """Nothing is left."""
        return self.at >= len(self._found)

    @property
    def next(self) -> str:
        """The next word; "" at the end."""
        return self.peek(0)

    def peek(self, ahead: int) -> str:
        """A word further on."""
        at = self.at + ahead
        return self._found[at][0] if at < len(self._found) else ""

    def take(self) -> str:
        """The next word, which is read with this."""
        word = self.next
        self.skip()
        return word

    def skip(self, count: int = 1) -> None:
        """Pass over words."""
        self.at = min(self.at + count, len(self._found))

    def accept(self, *words: str) -> bool:
        """Pass over the next word if it is one of these."""
        if self.ended or self.next not in words:
            return False
        self.skip()
        return True

    def leave(self) -> None:
        """Nothing more is read."""
        self.at = len(self._found)

    def since(self, begin: int) -> str:
        """The text from a word on, up to where it has been read."""
        if begin >= min(self.at, len(self._found)):
            return ""
        return self._text[self._found[begin].start() : self._found[self.at - 1].end()]

    def braces(self) -> str:
        """What stands in the braces that begin here."""
        return self._enclosed("{", "}")

    def _enclosed(self, opening: str, closing: str) -> str:
        begin, depth = self.at, 0
        while not self.ended:
            depth += {opening: 1, closing: -1}.get(self.take(), 0)
            if depth == 0:
                break
        return self.since(begin).removeprefix(opening).removesuffix(closing).strip()

    def value(self) -> str:
        """A value, which may be in parentheses, of several bits (`fin | syn`), or of a mask (`syn / fin,syn`)."""
        found = self._enclosed("(", ")") if self.next == "(" else self.take()
        while self.next in ("|", "/"):
            sign = self.take()
            found += sign + (self._enclosed("(", ")") if self.next == "(" else self.take())
        return found
