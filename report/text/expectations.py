"""What became of expectations: a line of each."""

from collections.abc import Iterator, Sequence

from ...correlate.expectations.evaluation import Judged


def expectations_text(judged: Sequence[Judged]) -> Iterator[str]:
    """`ok` or `FAILED`, what was expected, and what there was instead."""
    for one in judged:
        text = f"no {one.expectation.text}" if one.expectation.negative else one.expectation.text
        yield f"ok      {text}\n" if one.holds else f"FAILED  {text}: {one.text}\n"
