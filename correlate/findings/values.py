"""What a finding is, for those who show or export one: frozen values with the fields of the JSON contract."""

from dataclasses import dataclass

from ..netfilter.rules import Rule
from .kinds import Kind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Something that can be opened and looked at: a frame of a file, or a line of a snapshot in one."""

    what: str
    """`frame`, `trace`, `conntrack`, `rule`, `route`, `neighbour`, `sysctl`, `link`, `counter` or `kernel`."""
    text: str
    file: str | None = None
    frame: int | None = None
    """Wireshark's frame number in `file`."""
    line: int | None = None
    """Of the snapshot that the frame holds, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of some packets and why, in one sentence."""

    id: int
    kind: Kind
    severity: Severity
    text: str
    """The sentence: it stands alone."""
    advice: str | None
    """A command to look or to change, only where it is certain."""
    confidence: float
    time_ns: int
    """Of the first packet, on the reference clock."""
    node: str | None
    packets: int
    """That it is about; `paths` has the first of them."""
    connection_count: int
    """That it is about; `connections` has the first of them."""
    connections: tuple[int, ...]
    paths: tuple[int, ...]
    rule: Rule | None
    evidence: tuple[Evidence, ...]
