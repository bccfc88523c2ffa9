"""Rules that change while a capture runs are recorded soon after."""

from types import SimpleNamespace

import pytest

from ttrace.capture import recording_snapshots
from ttrace.capture.parallel import Result
from ttrace.capture.sources import ruleset_changes
from ttrace.capture.sources.ruleset_changes import RulesetChanges
from ttrace.errors import TtraceError

from ..test_capture import snapshots


def test_a_rule_that_comes_and_goes_keeps_its_words(network, start):
    capture = start(network.router)
    capture.wait_ready()
    network.run(network.router, "nft", "add", "table", "ip", "passing")
    network.run(network.router, "nft", "add", "chain", "ip", "passing", "guard")
    while b'"change"' not in capture.path.read_bytes():
        assert capture.process.poll() is None
    network.run(network.router, "nft", "delete", "table", "ip", "passing")
    capture.stop()
    found = snapshots(capture.path)
    assert "chain guard" not in found["start", "ruleset", "root"]["nft"]
    assert "chain guard" not in found["stop", "ruleset", "root"]["nft"]
    assert b"chain guard" in capture.path.read_bytes()


@pytest.fixture
def changes(monkeypatch):
    """A source of two namespaces, a feed whose generations can be set, and a clock; what it records is a list."""
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(ruleset_changes, "time", SimpleNamespace(monotonic=lambda: now.s))
    recorded = []

    def snapshot(netns):
        if netns.description == "broken":
            raise TtraceError("no rules here")
        return netns.description

    class Workers:
        def submit(self, task, then):
            then(Result(task))

    monkeypatch.setattr(recording_snapshots, "ruleset_snapshot", snapshot)
    monkeypatch.setattr(recording_snapshots, "_add", lambda *arguments: recorded.append(arguments[2:]))
    sockets = [(SimpleNamespace(netns=SimpleNamespace(description=name)), 0) for name in ("root", "broken")]
    generations = [5, 7]
    feed = SimpleNamespace(generations=lambda number: generations[number])
    source = RulesetChanges(SimpleNamespace(sockets=sockets, warnings=[], workers=Workers()))
    source.follow(feed)
    return SimpleNamespace(source=source, feed=feed, generations=generations, now=now, recorded=recorded)


def after(changes, seconds):
    changes.now.s += seconds
    changes.source.record(changes.feed)
    return len(changes.recorded)


def test_what_changed_before_the_snapshots_of_the_start_is_in_them(changes):
    assert after(changes, 5) == 0
    assert not changes.source.is_pending


def test_a_change_is_recorded_once_it_is_complete(changes):
    changes.generations[0] += 1
    assert after(changes, 0.01) == 0
    assert changes.source.is_pending
    changes.generations[0] += 1
    assert after(changes, 0.05) == 0
    assert after(changes, 0.09) == 0
    assert after(changes, 0.02) == 1
    assert not changes.source.is_pending


def test_changes_without_end_are_recorded_each_second(changes):
    taken = []
    for _ in range(300):
        changes.generations[0] += 1
        taken.append(after(changes, 0.01))
    assert taken[-1] in (2, 3)


def test_rules_that_cannot_be_read_are_a_warning(changes):
    changes.generations[1] += 1
    after(changes, 0)
    assert after(changes, 0.2) == 0
    assert changes.source.session.warnings == ["broken: changed rules not recorded: no rules here"]
