"""The whole way in parts: the same result as in memory, whatever the files hold."""

from ttrace.tests.correlate.same_in_parts import assert_same_in_parts

from ..recordings import split_messages
from . import pipeline
from .reading import guarded_files, written
from .whole import report

seeds, mutate = pipeline.seeds, pipeline.mutate


def run(data: bytes) -> None:
    with guarded_files(), written(*split_messages(data)[:3]) as paths:
        if paths:
            named = [f"n{i}={path}" for i, path in enumerate(paths)]
            assert_same_in_parts(named, report(paths))
