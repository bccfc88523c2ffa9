"""The command for scripts: `ttrace check`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from .cli_importing import importing
from .cli_machine import begin_reading
from .cli_options import Captures, MaxExpanded, Memory, VxlanPorts
from .cli_process import end_tidily
from .cli_report_file import check_report, write, write_report
from .cli_streams import say
from .errors import UsageError

Expected = Annotated[
    list[str] | None,
    Option("--expect", metavar="EXPECTATION", help="'tcp 172.17.0.2 -> :8080 delivered'; again for more."),
]
NotExpected = Annotated[
    list[str] | None,
    Option("--expect-no", metavar="EXPECTATION", help="The same, or a kind or severity: 'fault'; again for more."),
]


def add_check_command(app: typer.Typer) -> None:
    """Add the command to `app`."""

    @app.command(short_help="Is it as expected? For scripts: the exit code.")
    def check(
        captures: Captures,
        expect: Expected = None,
        expect_no: NotExpected = None,
        junit: Annotated[Path | None, Option("--junit", metavar="OUT", help="Write JUnit XML too.")] = None,
        vxlan_port: VxlanPorts = None,
        memory: Memory = None,
        max_expanded: MaxExpanded = None,
    ) -> None:
        """Is everything as expected? Exit code 0 where it is, 1 where not."""
        if not (expect or expect_no):
            raise UsageError(
                "nothing is expected", "say what: --expect 'tcp any -> :8080 delivered', --expect-no fault"
            )
        if junit:
            check_report(junit, captures, "--junit")
        end_tidily()
        begin_reading()
        with importing(say):
            from .correlate import correlate_files
            from .correlate.expectations.grammar import read_expectation
            from .report.junit import junit_text
            from .report.telling.checking import judge
            from .report.text.expectations import expectations_text
            from .report.text.progress import stages

        wanted = [read_expectation(text) for text in expect or ()]
        wanted += [read_expectation(text, negative=True) for text in expect_no or ()]
        with stages() as show:
            result = correlate_files(
                captures, show, vxlan_ports=vxlan_port or (), memory=memory, max_expanded=max_expanded
            )
            judged = judge(result, wanted)
        if junit:
            write_report(junit, [junit_text(judged)], "--junit")
        write(expectations_text(judged))
        if not all(one.holds for one in judged):
            raise typer.Exit(1)
