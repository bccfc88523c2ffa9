"""What `ttrace correlate` does, whoever has read its command line: typer (`cli.py`), or `cli_start.py`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from .cli_importing import importing
from .cli_machine import begin_reading
from .cli_process import end_tidily
from .cli_report_file import check_report, write
from .cli_streams import say
from .errors import UsageError


class Every(StrEnum):
    """What `--paths` takes."""

    all = "all"


_CHOSEN: Final = {
    "filter_": "expression", "connection": "connections", "path": "paths", "why_not": "why_not", "only": "only",
    "why": "why",
}  # fmt: skip
"""Options that say what is told, and what they are called in `Telling.chosen`."""


def render(given: Mapping[str, Any]) -> None:
    """Correlate, and write the result. `given`: the options by their names; None is the default."""
    chosen = {name: given[option] for option, name in _CHOSEN.items() if given[option]}
    explained, output = given["explained"], given["output"]
    if explained and (chosen or given["paths"]):
        raise UsageError(
            "`--explain` is about single frames", "leave out --filter, --path(s), --connection, --why(-not), --only"
        )
    if output:
        check_report(output, given["captures"])
    end_tidily()
    begin_reading()
    with importing(say):
        from .correlate import correlate_captures, correlate_files
        from .report import render_explanations, render_telling
        from .report.telling import Telling
        from .report.text.progress import stages

        if explained:
            from .correlate.explain.frame_reference import find_frame

    reading = {"vxlan_ports": given["vxlan_port"] or (), "max_expanded": given["max_expanded"]}
    with stages() as show:
        if explained:
            whole = correlate_captures(given["captures"], show, **reading)
            pieces = render_explanations(whole, [find_frame(whole, one) for one in explained], given["format_"])
        else:
            result = correlate_files(given["captures"], show, memory=given["memory"], **reading)
            telling = Telling.chosen(result, every_path=given["paths"] is not None, **chosen)
            pieces = render_telling(telling, given["format_"])
    write(pieces, output)
