"""Made-up container daemons on a unix socket, which answer what a test wants, byte for byte."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Answer = Callable[[socket.socket, str], None]
"""Sends what it likes to a question's path."""


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def says(value: object) -> bytes:
    return http(json.dumps(value).encode())


@contextmanager
def daemon(path: Path, answer: Answer) -> Iterator[None]:
    """A daemon at `path`; each connection is served until either side closes it."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := connection.recv(4096):
                answer(connection, request.split()[1].decode())

    def accept() -> None:
        with suppress(OSError):
            while True:
                connections.append(listening.accept()[0])
                threads.append(threading.Thread(target=serve, args=(connections[-1],)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield
    finally:
        for one in (listening, *connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in (accepting, *threads):
            thread.join()
