"""What a capture costs the traffic: the packets per second that a node forwards through NAT meanwhile."""

import subprocess
import sys
from contextlib import ExitStack, contextmanager, nullcontext

from ttrace.lab import LightLab
from ttrace.lab.namespace import inside

from .capture_tools import Dumpcap, Tcpdump, Ttrace, absent, capturing, have_pages, is_there
from .flooding import Flood
from .measuring import Process, Row, in_turn
from .network import PREFIX, pinned, remove_left_behind, split_cpus

TITLE = "What a capture costs the traffic"
NOTES = """\
- A container sends UDP datagrams, as fast as one CPU can, through docker0, the rules that Docker makes and MASQUERADE
  to another node (`lab/light.py`). All of that work is done on the sender's CPU, so its packets per second say what the
  capture of docker0, the container's veth and eth0 costs it, on this node alone. The tool has the other CPU.
"""
_POINTS = ("docker0", "eth0", "veth")
_NOTHING = "no capture"
_SINK = """
import socket, sys
sink = socket.socket(type=socket.SOCK_DGRAM)
sink.bind(("", 9))
print(flush=True)
sys.stdin.read()
"""
"""Takes the datagrams, so that nobody answers that the port is closed."""


def rows(sizes, folder):
    tools = [Ttrace(), Ttrace("--no-trace"), Ttrace("--trace-limit", "0"), Tcpdump(), Dumpcap()]
    there = {tool.name: tool for tool in tools if is_there(tool)}
    remove_left_behind()
    with LightLab(PREFIX) as lab, sink(lab):
        runs = {_NOTHING: lambda: _send(lab, sizes.forwarded, None, folder)}
        runs |= {name: lambda tool=tool: _send(lab, sizes.forwarded, tool, folder) for name, tool in there.items()}
        if sizes.warm_up:
            runs["ttrace"]()
        results = in_turn(runs, sizes.rounds)
    yield Row(
        what="UDP through NAT on a traced node",
        unit="packets/s",
        reference=_NOTHING,
        samples={name: [rate for rate, _ in result] for name, result in results.items()},
        absent=absent(tools),
        notes={name: _note([recorded for _, recorded in result], sizes.forwarded) for name, result in results.items()},
    )


@contextmanager
def sink(lab):
    command = [*inside(lab.nodes["slave"].netns_path), sys.executable, "-I", "-S", "-c", _SINK]
    process = Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()


def _send(lab, packets, tool, folder):
    """Packets per second, and what was recorded meanwhile."""
    own, others = map(pinned, split_cpus())
    web, node = lab.containers["web1"], lab.nodes["master"]
    with ExitStack() as stack:
        before = [*others, *inside(web.netns_path)]
        flood = stack.enter_context(Flood(before, "udp", packets, 0, [lab.nodes["slave"].address]))
        capture = nullcontext()
        if tool:
            points = [*_POINTS[:-1], _veth(lab)]
            capture = capturing(tool, points, 1_600, folder, [*own, *inside(node.netns_path)])
        running = stack.enter_context(capture)
        have_pages(folder, packets * len(_POINTS) * 110)
        flood.start()
        seconds = flood.end()
    return packets / seconds, running and running.recorded


def _veth(lab):
    links = lab.command("master", ["ls", "/proc/sys/net/ipv4/conf"]).stdout.split()
    return next(name for name in links if name.startswith("veth"))


def _note(runs, sent):
    if not runs[0]:
        return ""
    parts = [f"{max(run.lost for run in runs) / sent / len(_POINTS) * 100:.2g} % of the packets lost"]
    if any(run.trace_events for run in runs):
        parts.append(f"{max(run.trace_events for run in runs):,} trace events")
        parts.append(f"{max(run.events_lost for run in runs):,} netlink messages lost")
    return ", ".join(parts)
