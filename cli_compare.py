"""The command for two runs: `ttrace compare`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from .cli_importing import importing
from .cli_machine import begin_reading
from .cli_options import MaxExpanded, Memory, VxlanPorts
from .cli_process import end_tidily
from .cli_report_file import check_report, write
from .cli_streams import say
from .errors import UsageError
from .report import Form

GoodCaptures = Annotated[list[str], Argument(metavar="GOOD...", help="Captures of the good run, as of `correlate`.")]
BadCaptures = Annotated[
    list[str] | None, Option("--with", metavar="BAD", help="A capture of the bad run; again for more.")
]


def add_compare_command(app: typer.Typer) -> None:
    """Add the command to `app`."""

    @app.command(short_help="Where a bad run parts from a good one.")
    def compare(
        captures: GoodCaptures,
        bad: BadCaptures = None,
        format_: Annotated[Form, Option("--format", help="Form of the result.")] = Form.text,
        output: Annotated[Path | None, Option("--output", "-o", metavar="OUT", help="Default: stdout.")] = None,
        vxlan_port: VxlanPorts = None,
        memory: Memory = None,
        max_expanded: MaxExpanded = None,
    ) -> None:
        """Compare two runs: what only the bad one shows, and where its connections part from the good ones."""
        if not bad:
            raise UsageError("nothing to compare with", "name the captures of the bad run: `--with BAD`")
        if output:
            check_report(output, [*captures, *bad])
        end_tidily()
        begin_reading()
        with importing(say):
            from .correlate import correlate_both
            from .report import render_comparison
            from .report.telling.comparing import compare as compared
            from .report.text.progress import stages

        with stages() as show:
            good, other = correlate_both(
                captures, bad, show, vxlan_ports=vxlan_port or (), memory=memory, max_expanded=max_expanded
            )
            comparison = compared(good, other)
        write(render_comparison(comparison, format_), output)
