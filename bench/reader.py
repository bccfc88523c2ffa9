"""The readers that are Python, each in a process of its own: `python -m bench.reader KIND FILE...` prints JSON.

Importing, and compiled kernels read from numba's cache, are done before the clock starts; `seconds` is the work alone.
"""

import json
import sys
import time
from pathlib import Path

DEMO = Path(__file__).parent.parent / "pcaps" / "docker-demo" / "master.pcapng"
"""Small, and of all kinds: reading it loads every kernel."""


def topology_of(captures, paths):
    """What the files say of their nodes."""
    from ttrace.correlate.nodes.snapshots import gather_snapshots
    from ttrace.correlate.nodes.sources import Source
    from ttrace.correlate.nodes.topology import build_topology

    sources = [Source(path=str(path)) for path in paths]
    return build_topology(captures, sources, gather_snapshots(captures, sources))


def packets():
    """Read, decode and fingerprint all packets."""
    from ttrace.correlate.decode.frames import dissect_packets
    from ttrace.pcapng.read import read_capture

    def read(paths):
        begin = time.perf_counter()
        captures = [read_capture(path) for path in paths]
        read_s = time.perf_counter() - begin
        topology = topology_of(captures, paths)
        places = zip(topology.places, topology.file_namespaces, strict=True)
        found = [dissect_packets(capture, i, *at) for i, (capture, at) in enumerate(zip(captures, places, strict=True))]
        return {"packets": sum(f.rows.size for f in found), "read": read_s}

    return read


def chunks():
    """The same chunk by chunk, in little memory."""
    from ttrace.correlate.decode.frames import observations_by_chunk
    from ttrace.pcapng.chunks import open_in_chunks

    def read(paths):
        files = [open_in_chunks(path) for path in paths]
        topology = topology_of([chunked.capture for chunked in files], paths)
        places = zip(topology.places, topology.file_namespaces, strict=True)
        pieces = (
            observations_by_chunk(chunked, i, *at) for i, (chunked, at) in enumerate(zip(files, places, strict=True))
        )
        return {"packets": sum(found.rows.size for chunks in pieces for _, found in chunks)}

    return read


def trace():
    """Decode all trace messages, and put them together to the traversals of packets."""
    from ttrace.correlate.netfilter.evaluations import build_evaluations
    from ttrace.correlate.netfilter.sources import decode_messages
    from ttrace.pcapng.read import read_capture

    def read(paths):
        begin = time.perf_counter()
        captures = [read_capture(path) for path in paths]
        topology = topology_of(captures, paths)
        messages = [decode_messages(c, i, topology.file_namespaces[i]) for i, c in enumerate(captures)]
        decode_s = time.perf_counter() - begin
        build_evaluations(messages, topology, {n.index: [] for n in topology.namespaces})
        return {"events": sum(m.events.size for m in messages), "decode": decode_s}

    return read


def stages():
    """Correlate; the time of each stage."""
    from ttrace.correlate import correlate_captures

    def read(paths):
        begun = []
        correlate_captures([str(path) for path in paths], progress=lambda s, _: begun.append((s, time.perf_counter())))
        ends = [*(at for _, at in begun[1:]), time.perf_counter()]
        return {"stages": {stage: end - at for (stage, at), end in zip(begun, ends, strict=True)}}

    return read


def dpkt():
    """Ethernet and all above it, packet by packet."""
    import dpkt

    def read(paths):
        count = 0
        for path in paths:
            with path.open("rb") as file:
                for _, data in dpkt.pcapng.Reader(file):
                    dpkt.ethernet.Ethernet(data)
                    count += 1
        return {"packets": count}

    return read


def scapy():
    """Ethernet and all above it, packet by packet."""
    import scapy.layers.inet
    import scapy.layers.inet6  # noqa: F401 - else IPv6 stays raw
    from scapy.utils import PcapReader

    def read(paths):
        count = 0
        for path in paths:
            with PcapReader(str(path)) as frames:
                count += sum(1 for _ in frames)
        return {"packets": count}

    return read


KINDS = {kind.__name__: kind for kind in (packets, chunks, trace, stages, dpkt, scapy)}


def main():
    kind, *files = sys.argv[1:]
    read = KINDS[kind]()
    if kind in ("packets", "chunks", "trace", "stages"):
        read([DEMO])
    wall, cpu = time.perf_counter(), time.process_time()
    found = read([Path(file) for file in files])
    print(json.dumps({**found, "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
