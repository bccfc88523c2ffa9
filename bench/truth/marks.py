"""Senders and servers whose packets say who they are. Runs inside a namespace, with the standard library alone.

A mark is 20 bytes, unique for each message: who sent it (`c`lient or `s`erver), the connection, the message. It stands
behind 40 bytes that are the same in all messages, so a capture cut at 64 bytes shows nothing of it, over any protocol.
"""

import json
import random
import re
import socket
import struct
import sys
import threading
import time
from contextlib import ExitStack, suppress

MARK = re.compile(rb"ttm<([cs])([0-9a-f]{8})([0-9a-f]{6})>")
HEAD = 40
RECORD = 100
"""Length of one marked record of a bulk transfer: a segment of 1,448 bytes holds several whole ones."""
PORT, HTTP_PORT, ECHO_PORT, PROXY_PORT, DNS_PORT = 9000, 9080, 9070, 9090, 53
PROXIED = ("172.18.0.2", HTTP_PORT)
UDP_LITE = 136
IDENTICAL = b"identical datagram " * 5
QUERY = bytes.fromhex("4242010000010000000000000a6b756265726e6574657307636c7573746572056c6f63616c0000010001")
RESULT = QUERY[:2] + b"\x81\x80" + QUERY[4:7] + b"\x01" + QUERY[8:] + bytes.fromhex("c00c000100010000001e00040a600001")
"""A DNS query and its answer, with the same identification each time."""
HEARTBEAT = b"PING 1\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nhello, world\n"


def mark(side, connection, number):
    return b"ttm<%c%08x%06x>" % (ord(side), connection, number)


def body(side, connection, number, size, head=b""):
    """A message of `size` bytes (60 at least): equal head, mark, filling."""
    return (head.ljust(HEAD, b"x") + mark(side, connection, number)).ljust(size, b"y")


def answer_size(size):
    return 60 + size * 7 % 300


# Servers


def serve_udp(server):
    """A large datagram gets an answer of its size."""
    while True:
        data, address = server.recvfrom(65536)
        found = MARK.search(data)
        if found:
            size = answer_size(len(data)) if len(data) < 2000 else len(data)
            server.sendto(body("s", int(found[2], 16), int(found[3], 16), size), address)
        elif data == QUERY:
            server.sendto(RESULT, address)


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return data


def answer_messages(connection):
    """Each message begins with its size; a bulk transfer is a large one of many records."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (head := receive(connection, 8)) is not None:
            size = int(head)
            rest = receive(connection, size - 8)
            if rest is None:
                return
            found = MARK.search(rest)
            small = size if size < 2000 else 100
            connection.sendall(body("s", int(found[2], 16), int(found[3], 16), answer_size(small)))


def answer_http(connection):
    with connection:
        connection.settimeout(20)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        connection.sendall(RESPONSE)


def echo(connection):
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(65536):
            connection.sendall(data)


def proxy(connection):
    """As docker-proxy does: what comes from one connection goes into another, both ways."""

    def pump(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    with connection, socket.create_connection(PROXIED) as upstream:
        back = threading.Thread(target=quietly, args=(pump, upstream, connection))
        back.start()
        quietly(pump, connection, upstream)
        back.join()


def serve_tcp(listener, answer):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=quietly, args=(answer, connection), daemon=True).start()


def quietly(work, *arguments):
    """A connection that breaks is not the bench's concern: the packets it sent are."""
    with suppress(OSError):
        work(*arguments)


def serve():
    for port, protocol in ((PORT, socket.IPPROTO_UDP), (DNS_PORT, socket.IPPROTO_UDP), (PORT, UDP_LITE)):
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, protocol)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        server.bind(("::", port))
        threading.Thread(target=serve_udp, args=(server,), daemon=True).start()
    answers = ((PORT, answer_messages), (HTTP_PORT, answer_http), (ECHO_PORT, echo), (PROXY_PORT, proxy))
    for port, answer in answers:
        listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
        threading.Thread(target=serve_tcp, args=(listener, answer), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


# Clients: one function for each kind of job


def opened(job, kind):
    """A socket of the family of the job's address, bound to its source port."""
    family = socket.AF_INET6 if ":" in job["to"] else socket.AF_INET
    client = socket.socket(family, kind, job.get("protocol", 0))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    limit_hops(client, job)
    if job.get("options"):
        padding = bytes([0, 0, 1, 4, 0, 0, 0, 0])
        for kind_of_header in (socket.IPV6_HOPOPTS, socket.IPV6_DSTOPTS):
            client.setsockopt(socket.IPPROTO_IPV6, kind_of_header, padding)
    client.settimeout(job.get("timeout", 10))
    if job.get("source_port"):
        client.bind(("", job["source_port"]))
    return client


def limit_hops(client, job):
    """For a job with `hops`, as traceroute does."""
    if "hops" in job and ":" in job["to"]:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, job["hops"])
    elif "hops" in job:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, job["hops"])


def udp(job, sizes):
    """Requests, each awaited before the next (`burst`: all at once, then their answers), over a connected socket."""
    with opened(job, socket.SOCK_DGRAM) as client:
        client.settimeout(job.get("timeout", 0.4))
        client.connect((job["to"], job.get("port", PORT)))
        waiting = 0
        for number in range(job["count"]):
            client.send(body("c", job["connection"], number, sizes.randrange(*job.get("sizes", (60, 400)))))
            waiting += 1
            while waiting and not (job.get("burst") and number + 1 < job["count"]):
                try:
                    client.recv(65536)
                except OSError:
                    waiting = 0
                    break
                waiting -= 1
            time.sleep(job.get("pause", 0))


def tcp(job, sizes):
    """Connections one after the other, each of some requests and answers."""
    for offset in range(job.get("connections", 1)):
        with opened(job, socket.SOCK_STREAM) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.connect((job["to"], job.get("port", PORT)))
            for number in range(job["count"]):
                size = sizes.randrange(60, 400)
                client.sendall(body("c", job["connection"] + offset, number, size, b"%08d" % size))
                if receive(client, answer_size(size)) is None:
                    break
                time.sleep(job.get("pause", 0))
        time.sleep(job.get("pause", 0))


def bulk(job, _sizes):
    """`count` records in one write; the answer is one small message."""
    with opened(job, socket.SOCK_STREAM) as client:
        client.connect((job["to"], job.get("port", PORT)))
        size = job["count"] * RECORD
        records = [body("c", job["connection"], n, RECORD, b"%08d" % size) for n in range(job["count"])]
        client.sendall(b"".join(records))
        receive(client, answer_size(100))


def ping(job, _sizes):
    six = ":" in job["to"]
    family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, 1)
    with socket.socket(family, socket.SOCK_RAW, protocol) as client:
        client.settimeout(job.get("timeout", 0.4))
        limit_hops(client, job)
        for number in range(job["count"]):
            identifier = job.get("identifier", job["connection"]) & 0xFFFF
            head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, identifier, number)
            packet = head + body("c", job["connection"], number, 64)
            total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            client.sendto(packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:], (job["to"], 0))
            with suppress(OSError):
                client.recv(65536)
            time.sleep(job.get("pause", 0))


def http(job, _sizes):
    """`count` identical requests at the same moment."""
    request = b"GET / HTTP/1.1\r\nHost: server\r\nUser-Agent: truth\r\nAccept: */*\r\n\r\n"
    together = threading.Barrier(job["count"])

    def fetch(number):
        with opened({**job, "source_port": 0}, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            if job.get("source_port"):
                client.bind(("", job["source_port"] + number))
            together.wait()
            client.connect((job["to"], job.get("port", HTTP_PORT)))
            client.sendall(request)
            while client.recv(65536):
                pass

    threads = [threading.Thread(target=quietly, args=(fetch, number)) for number in range(job["count"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def identical(job, _sizes):
    """Datagrams that nothing tells apart. Over IPv6: this kernel gives each of IPv4 another IP ID."""
    with opened(job, socket.SOCK_DGRAM) as client:
        for _ in range(job["count"]):
            client.sendto(IDENTICAL, (job["to"], job.get("port", PORT)))
            time.sleep(job.get("pause", 0.001))


def queries(job, _sizes):
    """A resolver asks the same once more, without waiting for the answers."""
    with opened(job, socket.SOCK_DGRAM) as client:
        client.connect((job["to"], DNS_PORT))
        for _ in range(job["count"]):
            client.send(QUERY)
            time.sleep(job["pause"])


def reuse(job, _sizes):
    """Short connections from one port, each ended by a reset before the next."""
    for _ in range(job["count"]):
        with opened(job, socket.SOCK_STREAM) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.connect((job["to"], job["port"]))
            client.sendall(HEARTBEAT)
            receive(client, len(HEARTBEAT))


def heartbeats(job, _sizes):
    """`connections` that say the same at the same times, `count` times; then they are silent, but for keepalives."""
    with ExitStack() as stack:
        clients = [stack.enter_context(opened(job, socket.SOCK_STREAM)) for _ in range(job["connections"])]
        for client in clients:
            client.connect((job["to"], job["port"]))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        for _ in range(job["count"]):
            for client in clients:
                client.sendall(HEARTBEAT)
            for client in clients:
                receive(client, len(HEARTBEAT))
            time.sleep(job["pause"])
        time.sleep(job["silence"])


JOBS = {
    "udp": udp, "tcp": tcp, "bulk": bulk, "ping": ping, "http": http, "identical": identical, "queries": queries,
    "reuse": reuse, "heartbeats": heartbeats,
}  # fmt: skip


def run_jobs(jobs):
    threads = []
    for job in jobs:
        work = threading.Thread(target=quietly, args=(JOBS[job["job"]], job, random.Random(job["seed"])))
        threads.append(work)
        work.start()
        if not job.get("parallel"):
            work.join()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        run_jobs(json.loads(sys.argv[2]))
