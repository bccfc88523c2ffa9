"""The command line: parses, calls the library, writes the result.

No logic, and nothing heavy is imported before it is needed: `ttrace --help` takes 0.1 s.
"""

from . import cli_interrupt  # isort: skip - before all else: see there

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from . import __version__
from .cli_check import add_check_command
from .cli_compare import add_compare_command
from .cli_importing import importing
from .cli_lab import add_lab_commands
from .cli_machine import begin, begin_reading
from .cli_node import record
from .cli_options import (
    CaptureFilter,
    CaptureName,
    Captures,
    ConnectionFilter,
    Count,
    Details,
    Duration,
    Explained,
    Force,
    FreezeAfter,
    FreezeBefore,
    FreezeMost,
    FreezeOn,
    InContainers,
    Interfaces,
    Keep,
    KernelDrops,
    MaxExpanded,
    MaxSize,
    Memory,
    MinFree,
    Netns,
    NodeName,
    Only,
    Output,
    RingMemory,
    RotateSize,
    RotateTime,
    Snaplen,
    Trace,
    TraceLimit,
    TraceMatch,
    VxlanPorts,
    WhyNotRules,
    Whys,
)
from .cli_process import end_tidily, run_to_exit
from .cli_report_file import check_report, write_report
from .cli_upkeep import add_upkeep_commands
from .cli_usage import WrongUsage, misused
from .errors import UsageError
from .escaping import escape, escape_lines
from .report import Form

cli_interrupt.allow()

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich for the help takes longer than all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Where did my packet go, and who changed it? Every hop and every address rewrite, with the rule that did it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ttrace {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of ttrace itself."""
    del version
    begin()


@app.command(short_help="Record packets, trace and rules of this node.")
def capture(
    iface: Interfaces = None,
    write: Output = "",
    force: Force = False,
    filter_: CaptureFilter = None,
    netns: Netns = None,
    containers: InContainers = False,
    node_name: NodeName = None,
    duration: Duration = None,
    count: Count = None,
    snaplen: Snaplen = None,
    ring_mib: RingMemory = None,
    trace: Trace = True,
    trace_match: TraceMatch = None,
    trace_limit: TraceLimit = None,
    conntrack_details: Details = False,
    kernel_drops: KernelDrops = True,
    rotate_size: RotateSize = None,
    rotate_time: RotateTime = None,
    keep: Keep = None,
    max_size: MaxSize = None,
    min_free: MinFree = None,
    freeze_on: FreezeOn = None,
    freeze_before: FreezeBefore = None,
    freeze_after: FreezeAfter = None,
    freeze_most: FreezeMost = None,
) -> None:
    """Record this node: packets, netfilter trace, conntrack and rules, in one pcapng file."""
    record(locals())


@app.command(short_help="Every hop and rewrite, from captures of any nodes.")
def correlate(
    captures: Captures,
    format_: Annotated[Form, Option("--format", help="Form of the result.")] = Form.text,
    output: Annotated[Path | None, Option("--output", "-o", metavar="OUT", help="Default: stdout.")] = None,
    filter_: ConnectionFilter = None,
    paths: Annotated[str | None, Option("--paths", metavar="all", help="Every path, not one per route.")] = None,
    path: Annotated[list[int] | None, Option("--path", metavar="N", help="This path; again for more.")] = None,
    connection: Annotated[list[int] | None, Option("--connection", metavar="N", help="All paths of this one.")] = None,
    vxlan_port: VxlanPorts = None,
    explained: Explained = None,
    why: Whys = None,
    why_not: WhyNotRules = None,
    only: Only = None,
    memory: Memory = None,
    max_expanded: MaxExpanded = None,
) -> None:
    """Reconstruct every hop and rewrite from the captures of one or more nodes."""
    if paths not in (None, "all"):
        raise typer.BadParameter("the only choice is `all`", param_hint="--paths")
    if explained and (filter_ or paths or path or connection or why or why_not or only):
        raise UsageError(
            "`--explain` is about single frames", "leave out --filter, --path(s), --connection, --why(-not), --only"
        )
    if output:
        check_report(output, captures)
    end_tidily()
    begin_reading()
    with importing(_say):
        from .correlate import correlate_captures, correlate_files
        from .report import render_explanations, render_telling
        from .report.telling import Telling
        from .report.text.progress import stages

        if explained:
            from .correlate.explain.frame_reference import find_frame

    with stages() as show:
        if explained:
            whole = correlate_captures(captures, show, vxlan_ports=vxlan_port or (), max_expanded=max_expanded)
            frames = [find_frame(whole, reference) for reference in explained]
        else:
            result = correlate_files(
                captures, show, vxlan_ports=vxlan_port or (), memory=memory, max_expanded=max_expanded
            )
            telling = Telling.chosen(
                result, expression=filter_, connections=connection or (), paths=path or (), every_path=paths == "all",
                why_not=why_not or (), only=only or (), why=why or (),
            )  # fmt: skip
    if explained:
        _write(render_explanations(whole, frames, format_), output)
        return
    _write(render_telling(telling, format_), output)


@app.command(short_help="Say what a capture holds.")
def show(file: CaptureName, max_expanded: MaxExpanded = None) -> None:
    """Say what a capture holds: node, capture points, times, losses, trace, rules."""
    end_tidily()
    begin_reading()
    with importing(_say):
        from .correlate.summaries.one_file import describe_capture
        from .report.text.capture_file import description_text

    _write(description_text(capture) for capture in describe_capture(file, max_expanded))


def _write(pieces: Iterable[str], output: Path | None = None) -> None:
    """Write the pieces of a result to a file or to stdout."""
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    write_report(output, (escape_lines(piece) for piece in pieces))


def _say(text: str) -> None:
    """One line of what goes on."""
    sys.stderr.write(f"{escape(text)}\n")


add_check_command(app, _write, _say)
add_compare_command(app, _write, _say)
add_upkeep_commands(app, _write, _say)
add_lab_commands(app, _write, _say)


def main() -> None:
    """Run the command line (`cli_process.run_to_exit`)."""
    run_to_exit(lambda: app(standalone_mode=False) or 0, WrongUsage, misused)
