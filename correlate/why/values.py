"""The evidence of a finding in full, for those who show or export it: frozen values."""

from dataclasses import dataclass

from ..findings.values import Finding
from ..result.values import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that was recorded of where a packet passed, and where that can be looked up."""

    what: str
    """As `what` of an Evidence: `trace`, `kernel`, `conntrack`, `route`, `neighbour`, `sysctl`, `link` or `frame`."""
    text: str
    file: str | None = None
    frame: int | None = None
    """Wireshark's frame number in `file`."""
    line: int | None = None
    """Of the snapshot that the frame holds, from 1."""
    read_ns: int | None = None
    """When the snapshot or message that says so was taken, on the reference clock; None for a captured frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One packet that a finding is about, with its way, and what was recorded where it passed."""

    path: Path
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One finding with the packets that prove it."""

    finding: Finding
    proofs: tuple[Proof, ...]
    """The first of them by their ids."""

    @property
    def more(self) -> int:
        """Packets that are not shown."""
        return self.finding.packets - len(self.proofs)
