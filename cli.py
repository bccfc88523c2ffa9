"""The command line: parses, calls the library, writes the result. No logic, and nothing heavy is imported before it is needed."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Never

import typer

from . import __version__
from .errors import TtraceError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Where did my packet go, and who changed it? Every hop and every address rewrite, with the rule that did it.",
)
lab_app = typer.Typer(no_args_is_help=True, help="Two real Docker nodes in network namespaces, to try ttrace on.")
app.add_typer(lab_app, name="lab")


class OutputFormat(StrEnum):
    """Forms of the result of `ttrace correlate`."""

    text = "text"
    json = "json"


Captures = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Capture files: FILE, NODE=FILE or NODE/INTERFACE=FILE.", show_default=False)
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ttrace {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options of ttrace itself."""


@app.command()
def capture(
    iface: Annotated[
        list[str] | None,
        typer.Option("--iface", "-i", metavar="NAME", help="Interface; again for more. Default: docker0, other bridges, their ports, the uplinks."),
    ] = None,
    write: Annotated[str, typer.Option("--write", "-w", metavar="FILE", help="pcapng file, `-` for stdout. Default: NODE-DATE-TIME.pcapng.")] = "",
    filter_: Annotated[str | None, typer.Option("--filter", metavar="EXPR", help="pcap-filter expression, such as 'tcp port 8080'. Packets only; see --trace-match.")] = None,
    netns: Annotated[list[str] | None, typer.Option("--netns", metavar="NAME|PID|PATH", help="A further network namespace; again for more.")] = None,
    containers: Annotated[bool, typer.Option("--containers", help="Also capture and trace inside every running container.")] = False,
    node_name: Annotated[str | None, typer.Option("--node-name", metavar="NAME", help="Name of this node. Default: the host name.")] = None,
    duration: Annotated[float | None, typer.Option("--duration", metavar="SECONDS", min=0, help="Stop after this time.")] = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="Stop after this many packets.")] = None,
    snaplen: Annotated[int | None, typer.Option("--snaplen", metavar="BYTES", min=64, max=262144, help="Bytes kept of each packet. Default: 1600.")] = None,
    trace: Annotated[bool, typer.Option("--trace/--no-trace", help="Trace netfilter while capturing.")] = True,
    trace_match: Annotated[str | None, typer.Option("--trace-match", metavar="NFT", help="Trace only what this nft match selects, such as 'tcp dport 8080'; `;` separates alternatives.")] = None,
    trace_limit: Annotated[int | None, typer.Option("--trace-limit", metavar="N", min=0, help="Packets traced per second in each namespace, 0: all. Default: 1000.")] = None,
    conntrack_details: Annotated[bool, typer.Option("--conntrack-details", help="Switch on conntrack's timestamps and counters meanwhile.")] = False,
) -> None:  # fmt: skip
    """Record this node: packets, netfilter trace, conntrack and rules, in one pcapng file."""
    from .capture import CaptureOptions, run_capture
    from .report.progress import capture_status, capture_summary

    given = {"snaplen": snaplen, "trace_limit": trace_limit}
    options = CaptureOptions(
        interfaces=tuple(iface or ()),
        output=write,
        filter=filter_,
        netns=tuple(netns or ()),
        containers=containers,
        node_name=node_name,
        duration_s=duration,
        count=count,
        trace=trace,
        trace_match=trace_match,
        conntrack_details=conntrack_details,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    with capture_status() as show:
        summary = run_capture(options, status=show)
    typer.echo(capture_summary(summary), err=True)


@app.command()
def correlate(
    captures: Captures,
    format_: Annotated[OutputFormat, typer.Option("--format", help="Form of the result.")] = OutputFormat.text,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help="File for the result. Default: stdout.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", metavar="EXPR", help="Connections by any address or port they wore: 'host 172.17.0.2 and port 8080'.")] = None,
    paths: Annotated[str | None, typer.Option("--paths", metavar="all", help="`all`: every path, not one per route.")] = None,
    path: Annotated[list[int] | None, typer.Option("--path", metavar="N", help="This path only; again for more.")] = None,
    connection: Annotated[list[int] | None, typer.Option("--connection", metavar="N", help="Every path of this connection; again for more.")] = None,
) -> None:  # fmt: skip
    """Reconstruct every hop and rewrite from the captures of one or more nodes."""
    if paths not in (None, "all"):
        raise typer.BadParameter("the only choice is `all`", param_hint="--paths")
    from .correlate import correlate_captures
    from .correlate.select import select
    from .report import render
    from .report.progress import stages

    with stages() as show:
        result = correlate_captures(captures, progress=show)
        chosen = select(
            result, expression=filter_, connections=connection, paths=path, every_path=paths == "all"
        )
    _write(render(result, chosen, format_.value), output)


@app.command()
def show(file: Annotated[str, typer.Argument(metavar="FILE", help="A capture file.", show_default=False)]) -> None:
    """Say what a capture holds: node, capture points, times, losses, trace, snapshots."""
    from .correlate.describe import describe_capture
    from .report.description import description_text

    _write([description_text(describe_capture(file))], None)


@app.command()
def doctor() -> None:
    """Can this machine be traced, and if not why? Also puts back what a killed capture left changed."""
    from .capture.doctor import examine
    from .report.findings import findings_text

    findings = examine()
    _write([findings_text(findings)], None)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


@app.command()
def demo(
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep the capture files here.")] = None,
    recorded: Annotated[bool, typer.Option("--recorded", help="Use the captures in pcaps/ instead of a lab.")] = False,
) -> None:
    """Two Docker nodes, a request each way through published port 8080, and the way of its packets."""
    from .lab.demo import run_demo

    _write(run_demo(keep=keep, recorded=recorded, say=lambda text: typer.echo(text, err=True)), None)


@lab_app.command("up")
def lab_up(prefix: Annotated[str, typer.Option("--prefix", metavar="NAME", help="Prefix of its namespaces.")] = "ttlab") -> None:
    """Bring two Docker nodes up, `master` and `slave`."""
    from . import lab
    from .report.findings import lab_text

    lab.up(prefix)
    _write([lab_text(lab.status(prefix))], None)


@lab_app.command("down")
def lab_down(prefix: Annotated[str, typer.Option("--prefix", metavar="NAME", help="Prefix of its namespaces.")] = "ttlab") -> None:
    """Take the nodes down, with everything that belongs to them."""
    from . import lab

    lab.down(prefix)


@lab_app.command("status")
def lab_status(prefix: Annotated[str, typer.Option("--prefix", metavar="NAME", help="Prefix of its namespaces.")] = "ttlab") -> None:
    """Say whether the nodes are up, and what runs on them."""
    from . import lab
    from .report.findings import lab_text

    _write([lab_text(lab.status(prefix))], None)


def _write(parts: "list[str] | object", output: Path | None) -> None:
    """Write the pieces of a result to a file or to stdout."""
    pieces = iter(parts)  # type: ignore[call-overload]
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise TtraceError(f"cannot write `{output}`: {error.strerror}", "check the folder and the rights") from error


def _fail(error: TtraceError) -> Never:
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    sys.exit(1)


def main() -> None:
    """Run the command line; a TtraceError becomes `error: …`, `hint: …` and exit code 1."""
    try:
        app()
    except TtraceError as error:
        _fail(error)
    except BrokenPipeError:
        # `ttrace correlate … | head`: the reader has seen enough. Nothing more can be written, not even at exit.
        sys.stderr.close()
        sys.exit(1)
