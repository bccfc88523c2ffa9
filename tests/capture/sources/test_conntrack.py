"""Conntrack's details are switched on where they are asked for."""

from types import SimpleNamespace

from ttrace.capture import CaptureOptions
from ttrace.capture.sources.conntrack import Conntrack


class Refusing:
    """A journal of a kernel that has one of the settings."""

    def __init__(self):
        self.values = {}

    def set_value(self, netns, name, value):
        if name.endswith("_timestamp"):
            raise FileNotFoundError(2, "No such file or directory")
        self.values[netns.description, name] = value


def opened(*, details: bool):
    options = CaptureOptions(conntrack_details=details)
    session = SimpleNamespace(options=options, journal=Refusing(), warnings=[])
    Conntrack(session).open(SimpleNamespace(netns=SimpleNamespace(description="container web1")))
    return session


def test_a_setting_that_is_not_there_is_a_warning_and_the_other_is_set():
    session = opened(details=True)
    assert session.warnings == ["container web1: nf_conntrack_timestamp not set: No such file or directory"]
    assert session.journal.values == {("container web1", "net/netfilter/nf_conntrack_acct"): "1"}


def test_nothing_is_set_unasked():
    session = opened(details=False)
    assert (session.warnings, session.journal.values) == ([], {})
