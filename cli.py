"""The command line: parses, calls the library, writes the result.

No logic, and nothing heavy is imported before it is needed: `ttrace --help` takes 0.1 s.
"""

from . import cli_interrupt  # isort: skip - before all else: see there

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from . import __version__
from .cli_check import add_check_command
from .cli_compare import add_compare_command
from .cli_correlate import Every, render
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
from .cli_report_file import write
from .cli_streams import say
from .cli_upkeep import add_upkeep_commands
from .cli_usage import WrongUsage, misused
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
    paths: Annotated[Every | None, Option("--paths", metavar="all", help="Every path, not one per route.")] = None,
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
    render(locals())


@app.command(short_help="Say what a capture holds.")
def show(file: CaptureName, max_expanded: MaxExpanded = None) -> None:
    """Say what a capture holds: node, capture points, times, losses, trace, rules."""
    end_tidily()
    begin_reading()
    with importing(say):
        from .correlate.summaries.one_file import describe_capture
        from .report.text.capture_file import description_text

    write(description_text(capture) for capture in describe_capture(file, max_expanded))


add_check_command(app)
add_compare_command(app)
add_upkeep_commands(app)
add_lab_commands(app)


def main() -> None:
    """Run the command line (`cli_process.run_to_exit`)."""
    run_to_exit(lambda: app(standalone_mode=False) or 0, WrongUsage, misused)
