"""Traffic that arrives, with all that makes the kernel drop copies of it: nothing of it is said to be dropped."""

import json
import subprocess
import sys
from contextlib import contextmanager

from ttrace.correlate import correlate_captures
from ttrace.report import render_telling
from ttrace.report.telling import Telling

SERVER = """
import socket, threading
def stream():
    while True:
        taken, _ = listener.accept()
        with taken:
            while not taken.recv(1 << 20).endswith(b"end"): pass
            taken.sendall(bytes(300_000))
def echo():
    while True:
        data, sender = datagrams.recvfrom(65_536)
        datagrams.sendto(data[:900], sender)
listener = socket.create_server(("", 80))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 81))
threading.Thread(target=stream, daemon=True).start()
threading.Thread(target=echo, daemon=True).start()
print("ready", flush=True)
input()
"""
CLIENT = """
import socket
for target in (("10.8.0.2", 80), ("10.8.0.2", 80), ("10.9.0.1", 80)):
    with socket.create_connection(target, 20) as sender:
        sender.sendall(bytes(1_000_000) + b"end")
        while sender.recv(1 << 20): pass
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.settimeout(20)
    for size in (10, 900, 9_000, 60_000):
        sender.sendto(bytes(size), ("10.8.0.2", 81))
        sender.recv(65_536)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for group in ("10.9.0.255", "255.255.255.255", "224.0.0.251"):
        sender.sendto(b"to all", (group, 82))
"""


@contextmanager
def serving(*namespaces: str):
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-S", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in namespaces
    ]
    try:
        for process in started:
            assert process.stdout.readline() == "ready\n"
        yield
    finally:
        for process in started:
            process.communicate("\n")


def told(path):
    telling = Telling.chosen(correlate_captures([str(path)]), every_path=True)
    return json.loads("".join(render_telling(telling, "json")))


def test_nothing_that_arrived_is_dropped(start, network):
    """Super-packets, fragments, a raw socket that gets copies (ping), broadcasts that nobody takes, and
    sockets that are closed with something in them."""
    with serving(network.server, network.router):
        capture = start(network.router, netns=[network.client, network.server])
        capture.wait_ready()
        network.run(network.client, sys.executable, "-S", "-c", CLIENT)
        network.ping(size=5_000)
        capture.stop()
    result = told(capture.path)
    assert [path for path in result["paths"] if path["outcome"] in ("dropped", "lost")] == []
    assert [finding for finding in result["findings"] if finding["severity"] == "fault"] == []
    dropped = [hop["says"] for path in result["paths"] for hop in path["hops"] if hop["kind"] == "drop"]
    assert any("NO_SOCKET (ping_rcv)" in says for says in dropped)  # told, and no drop of the packet
