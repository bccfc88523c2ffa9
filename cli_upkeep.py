"""The commands about this machine itself: `ttrace doctor` and `ttrace warm-up`."""

from typing import Annotated

import typer
from typer import Option

from .cli_node import diagnose
from .cli_report_file import write
from .cli_streams import say


def add_upkeep_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""

    @app.command(short_help="Can this machine be traced, and if not why?")
    def doctor(
        put_back: Annotated[
            bool, Option("--put-back", help="Only put back what a killed capture left changed, and say it.")
        ] = False,
    ) -> None:
        """Can this machine be traced, and if not why? Also puts back what a killed capture left changed."""
        text, is_well = diagnose(put_back)
        write([text])
        if not is_well:
            raise typer.Exit(1)

    @app.command(name="warm-up", short_help="Compile everything now, not at the first use.")
    def warm_up() -> None:
        """Compile everything that capture and correlate need, and keep it: a minute, once for each version."""
        from .report.text.doctor import warm_up_text
        from .warm_up.steps import warm_up

        write([warm_up_text(warm_up(say))])
