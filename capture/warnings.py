"""The warnings of a capture: each once, and not without end, however long it runs and whoever causes them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

MOST: Final = 200


class Warnings(list[str]):
    """A list that takes what is new, up to `MOST`, and counts the rest."""

    left_out = 0

    def append(self, text: str) -> None:
        """Add a warning, if it was not there."""
        if text in self:
            return
        if len(self) < MOST:
            super().append(text)
        else:
            self.left_out += 1

    def extend(self, texts: Iterable[str]) -> None:
        """Add several."""
        for text in texts:
            self.append(text)

    def __iadd__(self, texts: Iterable[str]) -> "Self":  # type: ignore[override, misc]
        self.extend(texts)
        return self

    def told(self) -> tuple[str, ...]:
        """All there are to say, and how many more there were."""
        more = (f"and {self.left_out:,} more warnings",) if self.left_out else ()
        return (*self, *more)
