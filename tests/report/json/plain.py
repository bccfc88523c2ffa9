"""The plain way to write paths and connections, one by one: the specification of what is written from columns."""

import json
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from ttrace.correlate import Correlation
from ttrace.correlate.result.select import select
from ttrace.report.json import connections, path_slice
from ttrace.report.json.connections import ConnectionTexts
from ttrace.report.json.contract import connection_object, path_object
from ttrace.report.json.legs import summary_object
from ttrace.report.json.paths import PathTexts
from ttrace.report.telling import Texts
from ttrace.report.telling.connections import tell_connections


def plain_paths(result: Correlation) -> list[str]:
    return [f"<{json.dumps(path_object(result.path_at(index)))}>" for index in range(result.packets.count)]


def plain_connections(result: Correlation) -> list[str]:
    told = tell_connections(result, select(result), np.arange(result.connections.count))
    objects = (connection_object(one.connection) | summary_object(one.summary) for one in told)
    return [f"<{json.dumps(one)}>" for one in objects]


def paths(result: Correlation, chosen: list[int]) -> list[str]:
    return split(PathTexts(result, before="<", behind=">").of(np.array(chosen, np.int64)))


def split(found: Iterable[Texts]) -> list[str]:
    texts: list[str] = []
    for some in found:
        data = bytes(some.data).decode("ascii")
        texts += [data[a:b] for a, b in pairwise(some.start)]
    return texts


def assert_written_as_plain(result: Correlation, monkeypatch) -> None:
    """All paths and connections at once and in slices of a few, and every third path."""
    every, in_full = list(range(result.packets.count)), select(result)
    expected, expected_connections = plain_paths(result), plain_connections(result)
    for most in (1 << 15, 5):
        monkeypatch.setattr(path_slice, "_HOPS", most)
        monkeypatch.setattr(connections, "_PATHS", most)
        assert paths(result, every) == expected
        written = ConnectionTexts(result, in_full, before="<", behind=">").texts()
        assert split(written) == expected_connections
    assert paths(result, every[::3]) == expected[::3]
    assert paths(result, []) == []
