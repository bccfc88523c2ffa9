"""Clients to run inside a container of LightLab, each bound to a port that tells its packets apart."""

import sys

from ttrace.lab import Lab

MASTER, SLAVE = "192.168.77.1", "192.168.77.2"

_UDP = """
import socket, sys
address, port, client_port, count, size, ttl, answered = sys.argv[1], *map(int, sys.argv[2:8])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("", client_port))
    client.settimeout(5)
    if ttl:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    for number in range(count):
        client.sendto(b"x" * size, (address, port))
    for number in range(count * answered):
        assert client.recv(65535) == b"x" * size
"""

_HTTP = """
import socket, sys
address, port, client_port, count, page = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
for number in range(count):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.settimeout(10)
        client.bind(("", client_port))
        client.connect((address, port))
        client.sendall(f"GET {page} HTTP/1.0\\r\\n\\r\\n".encode())
        while client.recv(65536):
            pass
"""


class Traffic:
    """Starts clients in a lab; `finish` waits until all of them have succeeded."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._running = []

    def udp(self, place, address, port, client_port, count=1, *, size=20, ttl=0, answered=True):
        """`count` equal datagrams in a row from one unconnected socket; then wait for as many answers."""
        self._start(place, _UDP, address, port, client_port, count, size, ttl, int(answered))

    def http(self, place, address, port, client_port, count=1, *, page="/"):
        """`count` requests, one connection after the other, all from one port."""
        self._start(place, _HTTP, address, port, client_port, count, page)

    def ping(self, place, address, identifier, count):
        """Echo requests without a timestamp in them, so equal but for the sequence number."""
        argv = ["ping", "-q", "-e", identifier, "-c", count, "-i", "0.01", "-s", "8", address]
        self._running.append(self._lab.popen(place, list(map(str, argv))))

    def finish(self):
        """Wait for all that was started."""
        for process in self._running:
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, output + errors
        self._running.clear()

    def _start(self, place, script, *arguments):
        argv = [sys.executable, "-I", "-S", "-c", script, *map(str, arguments)]
        self._running.append(self._lab.popen(place, argv))
