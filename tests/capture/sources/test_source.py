"""A capture goes over its sources and knows none: what one lacks is a warning, and the rest goes on."""

import signal

import pytest

from ttrace.capture import CaptureOptions, run, run_capture
from ttrace.capture.sources import SOURCES, CannotRunError, Source
from ttrace.errors import TtraceError

CALLS = ["open", "begin", "follow", "record", "end", "end"]


class Other(Source):
    """A source that notes what it is asked for."""

    calls: list[str]

    def __init__(self, session):
        super().__init__(session)
        type(self).calls = []

    def open(self, listener):
        self.calls.append("open")
        assert listener.socket.fileno() >= 0

    def begin(self, feed):
        self.calls.append("begin")
        assert feed.messages(0)

    def follow(self, feed):
        self.calls.append("follow")
        assert feed.packets >= 0

    def record(self, feed):
        assert not feed.is_full
        if self.calls[-1] != "record":
            self.calls.append("record")
        signal.raise_signal(signal.SIGINT)  # that is all that was wanted

    def end(self):
        self.calls.append("end")


class Lacking(Source):
    """A source that cannot be opened, nor begun."""

    def open(self, listener):
        raise CannotRunError(f"{listener.netns.description}: not here")

    def begin(self, feed):
        del feed
        raise CannotRunError("not on this kernel")


def capture(router, tmp_path, monkeypatch, *sources):
    monkeypatch.setattr(run, "SOURCES", (*SOURCES, *sources))
    with router.entered():
        return run_capture(CaptureOptions(output=str(tmp_path / "x.pcapng"), duration_s=60, interfaces=("eth0",)))


def test_a_source_is_asked_for_everything_in_its_order(router, tmp_path, monkeypatch):
    assert capture(router, tmp_path, monkeypatch, Other).warnings == ()
    assert Other.calls == CALLS


def test_what_a_source_lacks_is_a_warning_and_the_others_go_on(router, tmp_path, monkeypatch):
    summary = capture(router, tmp_path, monkeypatch, Lacking, Other)
    assert summary.warnings == ("root namespace: not here", "not on this kernel")
    assert Other.calls == CALLS


def test_sources_are_ended_when_a_capture_fails(router, tmp_path, monkeypatch):
    class Failing(Source):
        def begin(self, feed):
            del feed
            raise TtraceError("it was asked for")

    with pytest.raises(TtraceError, match="it was asked for"):
        capture(router, tmp_path, monkeypatch, Other, Failing)
    assert Other.calls == ["open", "begin", "end"]


def test_those_that_can_be_tried_have_a_hint_and_can_run_here(router):
    tried = [source for source in SOURCES if source.name]
    assert tried
    with router.entered():
        assert [source.can_run() for source in tried if source.needs] == [None] * len(tried)


def test_no_group_is_joined_for_two_sources():
    groups = [group for source in SOURCES for group in source.groups]
    assert len(groups) == len(set(groups))
