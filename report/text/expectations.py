"""What became of expectations: a line of each."""

from collections.abc import Iterator, Sequence

from ...correlate.expectations.evaluation import Judged
from ...escaping import safe


def expectations_text(judged: Sequence[Judged]) -> Iterator[str]:
    """`ok` or `FAILED`, what was expected, and what there was instead."""
    for one in judged:
        expected, found = safe(one.expectation.text), safe(one.text)
        text = f"no {expected}" if one.expectation.negative else expected
        yield f"ok      {text}\n" if one.holds else f"FAILED  {text}: {found}\n"
