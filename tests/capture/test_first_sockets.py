"""The sockets of the start, which are looked at while the capture gets ready."""

from threading import Event, Thread
from types import SimpleNamespace

from ttrace.capture import recording_snapshots
from ttrace.capture.recording_snapshots import look_at_sockets


def test_a_look_that_takes_long_is_waited_for_and_not_begun_again(monkeypatch):
    """A second one would find no owners any more: rights are given up by then."""
    may_end, looks, results = Event(), [], []

    def look(*_):
        looks.append(1)
        assert may_end.wait(10.0)
        return ["the snapshots"]

    monkeypatch.setattr(recording_snapshots, "all_socket_snapshots", look)
    session = SimpleNamespace(targets=None, owners=None, warnings=[], first_sockets=None)
    looking = look_at_sockets(session)
    asking = Thread(target=lambda: results.append(session.first_sockets()))
    asking.start()
    asking.join(0.2)
    may_end.set()
    for thread in (looking, asking):
        thread.join(10.0)
    assert results == [["the snapshots"]]
    assert looks == [1]
