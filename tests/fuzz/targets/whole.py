"""What the targets of the whole way have in common: files in, every report out."""

import json
from pathlib import Path

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.correlation import Correlation
from ttrace.correlate.result.select import select
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.report import render
from ttrace.report.text.capture_file import description_text


def report(paths: list[Path]) -> Correlation:
    """Correlate, and say it in every form. Raises TtraceError where a file cannot be used."""
    result = correlate_captures([f"n{i}={path}" for i, path in enumerate(paths)])
    chosen = select(result, every_path=True)
    document = json.loads("".join(render(result, chosen, "json")))
    assert len(document["captures"]) == len(paths)
    frames = [hop["frame"] for path in document["paths"] for hop in path["hops"] if hop["kind"] == "interface"]
    assert len(frames) == sum(capture["packets"] for capture in document["captures"])
    text = "".join(render(result, chosen, "text"))
    assert text.startswith(("Findings: ", "No fault of the network is seen: "))
    assert "\nCaptures\n" in text
    for path in paths:
        text += "".join(map(description_text, describe_capture(str(path))))
    unsafe = {letter for letter in text if not letter.isprintable() and letter != "\n"}
    assert not unsafe, unsafe
    return result
