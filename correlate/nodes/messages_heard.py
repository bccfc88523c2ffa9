"""Which kernel messages a file has, and which were taken out of it on its way here."""

from ...pcapng.read import CaptureFile


def heard_conntrack(capture: CaptureFile, number: int) -> bool:
    """Conntrack was recorded at this interface: there are messages, or the capture itself says that it had as many as
    there are, be it none.

    An interface for them is no evidence: its description outlives the messages where a file was saved through a filter.
    """
    heard = capture.heard.get(number)
    if heard is None:
        return False
    received = _received(capture, number)
    return heard.conntrack if received is None else received <= heard.records


def _received(capture: CaptureFile, number: int) -> int | None:
    """How many messages the capture had there in the end, as it says itself; None where it does not."""
    last = next((one for one in reversed(capture.statistics) if one.interface == number), None)
    return None if last is None or last.received is None else last.received - last.lost
