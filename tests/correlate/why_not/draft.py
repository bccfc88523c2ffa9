"""What `--why-not` says of the recordings. Run as a module it writes that anew, to be read."""

from collections.abc import Sequence
from pathlib import Path

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.why_not.why_not import why_not
from ttrace.report.text.why_not import why_not_text

HERE = Path(__file__).parent
NODE, LEGACY, CHANGED = (str(HERE / "recordings" / f"{name}.pcapng.gz") for name in ("node", "legacy", "changed"))
RULES = {
    NODE: (
        *(f"DOCKER-USER {number}" for number in range(1, 12)),
        *(f"FORWARD {number}" for number in range(1, 5)),
        *(f"inet fw forw {number}" for number in range(1, 14)),
        "late 1", "fw late 2", "nat DOCKER 1", "nat DOCKER 2", "DOCKER 1", "nat POSTROUTING 1", "raw PREROUTING 1",
    ),
    LEGACY: (
        *(f"FORWARD {number}" for number in range(1, 6)),
        *(f"DOCKER-USER {number}" for number in range(1, 5)),
        "INPUT 1", "nat DOCKER 1", "mangle PREROUTING 1",
    ),
    CHANGED: ("FORWARD 1", "INPUT 1"),
}  # fmt: skip


def expected(path: str) -> Path:
    """The file that holds what is said."""
    return HERE / "expected" / f"{Path(path).name.removesuffix('.pcapng.gz')}.txt"


def said(result: Correlation, rules: Sequence[str]) -> str:
    """The sections of a report."""
    return "".join(why_not_text(why_not(result, rules)))


if __name__ == "__main__":
    for path, rules in RULES.items():
        expected(path).write_text(said(correlate_captures([path]), rules))
