"""When the records of a file were captured, whether they are all at hand or seen piece by piece."""

import numpy as np
import numpy.typing as npt

from .capture_file import CaptureFile, Interface, left_out, of_snapshots
from .rows import filtered


class RecordTimes:
    """The first and the extreme times of a file, by the clock of its node, in ns."""

    def __init__(self) -> None:
        self.size = 0
        """Records of the file."""
        self._begun = False
        self.first_ns = 0
        """Of the first record; 0 without any. Those of interfaces that the capture leaves out do not count."""
        self.span_ns: tuple[int, int] | None = None
        """Earliest and latest of all but the snapshots, malformed packets at 0 among them; None where there are none.

        Snapshots are taken after the last packet: they say nothing of what would have been captured then."""

    @classmethod
    def of(cls, capture: CaptureFile) -> "RecordTimes":
        """Of a file whose records are all at hand."""
        times = cls()
        times.see(capture.records, capture.interfaces)
        return times

    def see(self, records: npt.NDArray[np.void], interfaces: list[Interface]) -> None:
        """Take notice of the next RECORD rows; `interfaces`: those of the file so far."""
        if records.size == 0:
            return
        self.size += records.size
        others = left_out(records, interfaces)
        if others.any():
            records = filtered(records, ~others)
            if records.size == 0:
                return
        if not self._begun:
            self._begun, self.first_ns = True, int(records["time_ns"][0])
        taken = of_snapshots(records, interfaces)
        times_ns = records["time_ns"][~taken] if taken.any() else records["time_ns"]
        if times_ns.size:
            least, most = int(times_ns.min()), int(times_ns.max())
            before = self.span_ns or (least, most)
            self.span_ns = min(before[0], least), max(before[1], most)
