"""`make bench`: start-up times and a correlation of a million packets, beside tshark on the same files."""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ttrace.lab import LightLab
from ttrace.lab.recording import ttrace_command

from .synthesis import synthesize

PCAPS = Path(__file__).parent.parent / "pcaps"
RUNS = 7
PACKETS = 1_000_000


def seconds(command, **more):
    """Wall time of one run of a command."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    return time.perf_counter() - begin


def describe(times):
    return f"{statistics.median(times):.2f} s (of {len(times)}: {min(times):.2f} to {max(times):.2f})"


def start_up():
    """Help, and a correlation of the demo's captures, warm."""
    demo = [str(PCAPS / "docker-demo" / f"{node}.pcapng") for node in ("master", "slave")]
    for name, command in (
        ("ttrace --help", ttrace_command("--help")),
        ("ttrace correlate, the demo's captures", ttrace_command("correlate", *demo)),
    ):
        seconds(command)
        yield name, describe([seconds(command) for _ in range(RUNS)])


def first_packet():
    """From the start of `ttrace capture` to its first packet, with a packet every millisecond."""
    pinger = "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nwhile True:\n"
    pinger += " s.sendto(b'x', ('192.168.77.2', 9000)); time.sleep(0.001)"
    times, ready = [], []
    with LightLab("ttbench") as lab, tempfile.TemporaryDirectory() as scratch:
        load = lab.popen("web1", [sys.executable, "-c", pinger], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for run in range(RUNS + 1):
            file = Path(scratch) / f"{run}.pcapng"
            begin = time.time_ns()
            capture = lab.popen("master", ttrace_command("capture", "-w", str(file)), stdout=subprocess.DEVNULL)
            capture.stderr.readline()
            ready.append((time.time_ns() - begin) / 1e9)
            capture.terminate()
            capture.communicate()
            from ttrace.pcapng.read import is_packet_interface, read_capture

            found = read_capture(file)
            packets = [is_packet_interface(i) for i in found.interfaces]
            first = min(r["time_ns"] for r in found.records[:100] if packets[r["interface"]])
            times.append((int(first) - begin) / 1e9)
        load.kill()
        load.wait()
    yield "ttrace capture, first packet recorded", describe(times[1:])
    yield "ttrace capture, tracing and ready", describe(ready[1:])


def million():
    """Correlate 1,000,000 packets across NAT; tshark decoding the same two files."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [str(path) for path in synthesize(Path(scratch), PACKETS)]
        command = ttrace_command("correlate", *files)
        seconds(command)
        times = [seconds(command) for _ in range(3)]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        tshark = sum(seconds(["tshark", "-r", file, "-T", "fields", "-e", "ip.src"]) for file in files)
        ours = statistics.median(times)
        yield f"ttrace correlate, {PACKETS:,} packets", describe(times)
        yield "  peak resident memory", f"{peak:,.0f} MiB"
        yield "  tshark decoding both files", f"{tshark:.1f} s: ttrace takes {ours / tshark:.3f} of it"


def main():
    for rows in (start_up(), first_packet(), million()):
        for name, value in rows:
            print(f"{name:<45} {value}", flush=True)


if __name__ == "__main__":
    main()
