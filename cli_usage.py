"""Wrong usage, as typer has it."""

import sys
from typing import Any

import typer

from .escaping import escape

WrongUsage: Any = typer.BadParameter.__mro__[2]
"""What click raises for wrong usage: typer has a click of its own, or uses the package, depending on its version."""


def misused(error: Any) -> None:  # noqa: ANN401 - see WrongUsage
    """Say what is wrong, and end. It quotes the arguments; its own lines are those of the help."""
    if any(escape(argument) != argument for argument in sys.argv[1:]):
        error.message = escape(error.message)
    error.show()
    sys.exit(error.exit_code)
