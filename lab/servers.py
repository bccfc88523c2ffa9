"""The servers of a container of LightLab: HTTP on port 80, UDP and TCP echo on port 9000.

Run as a program, with the container's name as its argument; it imports nothing of ttrace, so that it starts at once.
"""

import socketserver
import sys
import threading
from collections.abc import Callable

LARGE_BODY = b"0123456789abcde\n" * (1 << 16)
NAME = sys.argv[1] if len(sys.argv) > 1 else "nobody"


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


class _WebPage(socketserver.StreamRequestHandler):
    """Answers every request with the container's name, and /large with 1 MiB, as nginx does in DockerLab."""

    def handle(self) -> None:
        words = self.rfile.readline(65536).split()
        length = 0
        while (line := self.rfile.readline(65536).strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.rfile.read(length)
        body = LARGE_BODY if len(words) > 1 and words[1] == b"/large" else f"hello from {NAME}\n".encode()
        address, port = self.client_address
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\nX-Client: {address}:{port}\r\n\r\n"
        )
        # One write, like nginx: a small answer is one segment.
        self.wfile.write(head.encode() + body)


class _TcpEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class _UdpEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, socket = self.request
        socket.sendto(data, self.client_address)


class _UdpServer(socketserver.UDPServer):
    max_packet_size = 65535


def main() -> None:
    """Serve until killed."""
    everywhere = "0.0.0.0"
    servers: list[socketserver.BaseServer] = [
        _UdpServer((everywhere, 9000), _UdpEcho),
        _TcpServer((everywhere, 9000), _TcpEcho),
        _TcpServer((everywhere, 80), _WebPage),
    ]
    loops: list[Callable[[], None]] = [server.serve_forever for server in servers]
    for loop in loops[1:]:
        threading.Thread(target=loop, daemon=True).start()
    loops[0]()


if __name__ == "__main__":
    main()
