"""The commands of the two Docker nodes: `ttrace demo` and `ttrace lab`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from .cli_options import Force, Prefix
from .cli_report_file import write
from .cli_streams import say
from .report import Form


def add_lab_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    lab_app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Two real Docker nodes in network namespaces, to try ttrace on.",
    )

    @app.command(short_help="Two Docker nodes, and the way of a request.")
    def demo(
        keep: Annotated[Path | None, Option("--keep", metavar="DIR", help="Keep the capture files here.")] = None,
        force: Force = False,
        recorded: Annotated[bool, Option("--recorded", help="Use the captures in pcaps/, not a lab.")] = False,
    ) -> None:
        """Two Docker nodes, a request each way through published port 8080, and the way of its packets."""
        _demo(keep=keep, force=force, recorded=recorded)

    @lab_app.command("up")
    def lab_up(prefix: Prefix = "ttlab") -> None:
        """Bring two Docker nodes up, `master` and `slave`."""
        from . import lab

        lab.up(prefix)
        _status(prefix)

    @lab_app.command("down")
    def lab_down(prefix: Prefix = "ttlab") -> None:
        """Take the nodes down, with everything that belongs to them."""
        from . import lab

        lab.down(prefix)

    @lab_app.command("status")
    def lab_status(prefix: Prefix = "ttlab") -> None:
        """Say whether the nodes are up, and what runs on them."""
        _status(prefix)

    app.add_typer(lab_app, name="lab")


def _demo(
    *,
    keep: Path | None,
    force: bool,
    recorded: bool,
) -> None:
    from .lab.demo import demo_captures

    with demo_captures(keep=keep, force=force, recorded=recorded, say=say) as files:
        from .correlate import correlate_captures
        from .correlate.result.select import select_handshakes
        from .report import render

        result = correlate_captures([str(file) for file in files])
        write(render(result, select_handshakes(result), Form.text))


def _status(prefix: str) -> None:
    from . import lab
    from .report.text.doctor import lab_text

    write([lab_text(lab.status(prefix))])
