"""Reading, decoding and fingerprinting a file, beside programs that do as much or less with it."""

from .files import made
from .measuring import Goal, Row, in_turn, median_and_spread, number
from .peers import CAPINFOS, TCPDUMP, missing, reader, tshark_s, wall_s

TITLE = "Reading a file"
NOTES = """\
- ttrace reads, decodes and fingerprints every packet (`read_capture` and `dissect_packets`), in a new process each
  time; the time is that of the work, with Python, numba and the compiled kernels loaded before. "As a process" is all
  of it, from the start to the exit. The others are whole processes.
- tcpdump decodes nothing: it copies (`-r FILE -w /dev/null`). capinfos counts packets and looks for the first and the
  last. tshark, dpkt and scapy decode, on a part of the file, and are scaled up; their start counts once (tshark) or not
  at all (dpkt, scapy).
- Mixed sizes: 46 % 66 bytes, 10 % 200, 17 % 590, 27 % 1,514; TCP, UDP, some IPv6; pcapng with one interface.
"""
_SHARES = {"tshark": 10, "dpkt": 20, "scapy": 400}
"""All packets are this many times the part that each is measured on."""


def rows(sizes, folder):
    kinds = {"mixed": "of mixed sizes"} if sizes.quick else {"mixed": "of mixed sizes", "small": "of 64 bytes"}
    for name, what in kinds.items():
        yield _measure(sizes, folder, name, f"{sizes.read_packets:,} packets {what}")


def _measure(sizes, folder, name, what):
    (file,) = made(folder, name, sizes.read_packets)
    parts = {tool: made(folder, name, sizes.read_packets // share)[0] for tool, share in _SHARES.items()}
    works = []

    def ours():
        works.append(reader("packets", [file]))
        return works[-1][0]["seconds"]

    def python_peer(tool):
        return reader(tool, [parts[tool]])[0]["seconds"] * _SHARES[tool]

    peers = {
        "tcpdump -r -w": (missing("tcpdump"), lambda: wall_s(TCPDUMP, file)),
        "capinfos": (missing("capinfos"), lambda: wall_s(CAPINFOS, file)),
        "tshark -T fields": (missing("tshark"), lambda: tshark_s([parts["tshark"]], _SHARES["tshark"], folder)),
        "dpkt": (missing(module="dpkt"), lambda: python_peer("dpkt")),
        "scapy": (missing(module="scapy"), lambda: python_peer("scapy")),
    }
    runs = {"ttrace": ours} | {tool: run for tool, (reason, run) in peers.items() if not reason}
    if sizes.warm_up:
        ours()
        works.clear()
    samples = in_turn(runs, sizes.rounds)
    samples = {"ttrace": samples.pop("ttrace"), "ttrace, as a process": [u.wall_s for _, u in works], **samples}
    reads = [work["read"] for work, _ in works]
    size = file.stat().st_size
    return Row(
        what=f"{what} ({size / 1e6:,.0f} MB)",
        unit="s",
        reference="tcpdump -r -w",
        samples=samples,
        absent={tool: reason for tool, (reason, _) in peers.items() if reason},
        goals={"ttrace": Goal(bound=0.5)},
        notes={
            "ttrace": f"{number(sizes.read_packets / min(samples['ttrace']) / 1e6)} million packets/s at best; "
            f"finding the packets {median_and_spread(reads, 's')}, decoding them the rest",
            "ttrace, as a process": f"{number(max(usage.peak_mib for _, usage in works))} MiB with the mapped file",
            **{tool: f"on 1/{share} of the packets" for tool in samples if (share := _SHARES.get(tool.split()[0]))},
        },
    )
