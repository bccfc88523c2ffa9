"""`python -m bench --quick`: every row stands beside its peers. What it measures is nobody's truth and not asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PEERS = {
    "super-packets, 20,000/s, 4 interfaces": {"ttrace", "ttrace --no-trace", "tcpdump", "dumpcap"},
    "UDP through NAT on a traced node": {
        "no capture", "ttrace", "ttrace --no-trace", "ttrace --trace-limit 0", "tcpdump", "dumpcap",
    },
    "20,000 packets of mixed sizes (10 MB)": {
        "ttrace", "ttrace, as a process", "tcpdump -r -w", "capinfos", "tshark -T fields", "dpkt", "scapy",
    },
    "2 x 10,000 packets with trace events": {
        "ttrace correlate", "ttrace: read, decode, fingerprint", "tshark -T fields",
    },
    "2 x 10,000 packets with trace events, beside its own reading": {
        "ttrace correlate", "ttrace: read, decode, fingerprint",
    },
    "2 x 10,000 packets with trace events, beside a tenth of them": {"ttrace, 2 x 10,000", "ttrace, 2 x 1,000"},
    "0.101 GB in two files": {"ttrace correlate --memory 2048", "ttrace: read, decode, fingerprint"},
    "0.101 GB in two files: memory": {"ttrace correlate --memory 2048"},
    "10,000 trace messages (2 MB)": {"ttrace", "tshark -T fields"},
    "help": {"ttrace --help", "tcpdump --help", "tshark --help"},
    "capturing": {"ttrace", "ttrace --no-trace", "tcpdump", "dumpcap"},
    "the demo's two files": {"ttrace correlate", "tshark -T fields"},
}  # fmt: skip


def namespaces():
    return {path.name for path in Path("/run/netns").glob("ttbench*")}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """What the bench wrote: row -> tool -> the other cells."""
    written = tmp_path_factory.mktemp("bench") / "performance.md"
    before = namespaces()
    command = [sys.executable, "-m", "bench", "--quick", "--write", str(written)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=600)
    assert namespaces() <= before
    rows, what = {}, ""
    for line in written.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "what" and not cells[0].startswith("---"):
            what = cells[0] or what
            rows.setdefault(what, {})[cells[1]] = cells[2:]
    return rows


@pytest.mark.parametrize("what", PEERS)
def test_every_row_stands_beside_its_peers(table, what):
    assert set(table[what]) == PEERS[what]
    relations = [cells[1] for cells in table[what].values() if "not installed" not in cells[0]]
    assert "1" in relations  # the one that the others are set in relation to
    assert all(relations)


def test_there_are_no_other_rows(table):
    assert set(table) == set(PEERS)


def test_a_row_that_does_not_exist_is_refused():
    command = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no row is called nonsense" in done.stderr
