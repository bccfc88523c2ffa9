"""Expectations as JUnit XML, which systems of continuous integration read."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from ..correlate.expectations.evaluation import Judged
from ..escaping import escape


def junit_text(judged: Sequence[Judged]) -> str:
    """A suite with a case for each expectation. What XML cannot hold is escaped."""
    failed = sum(not one.holds for one in judged)
    suite = ET.Element("testsuite", name="ttrace check", tests=str(len(judged)), failures=str(failed), errors="0")
    for one in judged:
        option = "--expect-no" if one.expectation.negative else "--expect"
        name = _safe(f"{option} {one.expectation.text}")
        case = ET.SubElement(suite, "testcase", classname="ttrace.check", name=name)
        if not one.holds:
            text = _safe(one.text)
            ET.SubElement(case, "failure", message=text, type="expectation").text = text
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def _safe(text: str) -> str:
    escaped = escape(text)
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in escaped)
