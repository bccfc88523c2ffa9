"""How whoever waits for a correlation is told how far it is."""

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Called with the name of a stage and how much of it is done, 0 to 1; None where that is not known."""

Done = Callable[[float], None]
"""Called with how much of one stage is done, 0 to 1."""


def unheard(_stage: str, _done: float | None) -> None:
    """The Progress where nobody waits."""
