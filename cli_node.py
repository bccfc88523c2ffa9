"""What `capture` and `doctor` do, for whichever command line: that of `ttrace`, or of the agent, which has no typer."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from .cli_streams import in_passing, say
from .escaping import escape

_FIELDS: Final = {
    "iface": "interfaces", "write": "output", "filter_": "filter", "duration": "duration_s",
    "rotate_time": "rotate_time_s", "freeze_before": "freeze_before_s", "freeze_after": "freeze_after_s",
}  # fmt: skip
"""Options of the command line that are called otherwise in `CaptureOptions`."""


def record(given: Mapping[str, Any]) -> None:
    """Capture, and say what was captured. `given`: the options by their names; None is the default."""
    from .capture import BrokenOffError, CaptureOptions, run_capture
    from .report.text.progress import capture_status, capture_summary

    fields: dict[str, Any] = {
        _FIELDS.get(name, name): tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    options = CaptureOptions(**fields)
    try:
        with in_passing(sys.stderr), capture_status() as show:
            summary = run_capture(options, status=show, say=say, own_process=True)
    except BrokenOffError as error:
        sys.stderr.write(f"{capture_summary(error.summary, broken_off=True)}\n")
        raise
    sys.stderr.write(f"{capture_summary(summary)}\n")


def diagnose(put_back: bool) -> tuple[str, bool]:
    """(What is to be said of this machine, whether it can be traced); with `put_back` only what was put back."""
    if put_back:
        from .capture.machine.journal import restore_stale

        return "".join(f"{escape(line)}\n" for line in restore_stale()), True
    from .capture.doctor import examine
    from .report.text.doctor import diagnoses_text

    diagnoses = examine()
    return diagnoses_text(diagnoses), not any(diagnosis.state == "missing" for diagnosis in diagnoses)
