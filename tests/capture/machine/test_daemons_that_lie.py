"""A container daemon that hangs, drips, never ends or answers in another shape: one warning, and the capture runs."""

import os
import resource
import signal
import socket
import threading
import time

import pytest

from ttrace.capture import CaptureOptions
from ttrace.capture.machine import local_http
from ttrace.capture.machine.containers import NoDaemonError, running_containers
from ttrace.capture.machine.netns import open_netns
from ttrace.capture.targets import resolve_targets
from ttrace.errors import TtraceError
from ttrace.escaping import escape
from ttrace.pcapng.write import name_resolution

from .daemons import daemon, http, says

GOOD = {"Id": "good", "Name": "/web1", "State": {"Pid": os.getpid()}}
LEFT_OUT = "that one is left out with a warning, the others are captured"


def tried(what: str, result: str = "one warning `no containers: …`; the capture runs"):
    return pytest.mark.fault("container daemons", what, result)


def hang(connection, _):
    connection.recv(1)


def drip(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"[")
        time.sleep(0.02)


def drip_in_head(connection, _):
    while True:
        connection.sendall(b"X")
        time.sleep(0.02)


def endless(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"[" * 65536)


def endless_chunks(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def always_continue(connection, _):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def fixed(answer: bytes):
    def reply(connection, _):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return reply


WHOLE = [
    pytest.param(hang, "no answer within", marks=tried("it accepts, and says nothing"), id="hang"),
    pytest.param(drip, "no end of its answers", marks=tried("its answer comes byte by byte"), id="drip"),
    pytest.param(drip_in_head, "no end of its answers", marks=tried("its first line comes byte by byte"), id="head"),
    pytest.param(endless, "more than", marks=tried("its answer has no end"), id="endless"),
    pytest.param(endless_chunks, "more than", marks=tried("its chunks have no end"), id="chunks"),
    pytest.param(always_continue, "", marks=tried("it says `100 Continue` for ever"), id="continue"),
    pytest.param(fixed(http(b"[" * 200_000)), "no JSON", marks=tried("200,000 brackets within each other"), id="deep"),
    pytest.param(fixed(http(b'[{"Id": 5}]')), "without Id", marks=tried("an Id that is a number"), id="number"),
    pytest.param(fixed(http(b"[{}]")), "without Id", marks=tried("containers without Id"), id="no-id"),
    pytest.param(fixed(http(b"[[], null, 7]")), "without Id", marks=tried("containers that are no objects"), id="list"),
    pytest.param(fixed(http(b'[{"Id": "../../x y"}]')), "without Id", marks=tried("an Id that is a path"), id="path"),
    pytest.param(fixed(http(b'{"a": 1}')), "no list", marks=tried("an object instead of a list"), id="object"),
    pytest.param(fixed(http(b"null")), "null", marks=tried("null instead of a list"), id="null"),
    pytest.param(fixed(http(b"\xff\xfe")), "no JSON", marks=tried("an answer that is no text"), id="bytes"),
    pytest.param(fixed(http(b"1" * 100_000)), "no JSON", marks=tried("a number of 100,000 digits"), id="digits"),
    pytest.param(fixed(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0", marks=tried("it speaks another protocol"), id="other"),
    pytest.param(fixed(b""), "", marks=tried("it closes the connection at once"), id="closes"),
    pytest.param(fixed(http(b"x", "500 Oops")), "500 Oops", marks=tried("it answers 500"), id="500"),
    pytest.param(fixed(http(b"[]")[:-1]), "less than", marks=tried("it closes within its answer"), id="cut"),
]


@pytest.fixture
def inside(node):
    netns = open_netns(node)
    with netns.entered():
        yield
    netns.close()


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(local_http, "IDLE_S", 0.1)
    monkeypatch.setattr(local_http, "TOTAL_S", 0.4)


@pytest.mark.usefixtures("hurried", "inside")
@pytest.mark.parametrize(("answer", "words"), WHOLE)
def test_a_daemon_that_cannot_be_understood_is_one_warning(tmp_path, monkeypatch, answer, words):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with daemon(tmp_path / "d.sock", answer):
        targets = resolve_targets(CaptureOptions(containers=True))
        targets.close()
    (warning,) = targets.warnings
    assert warning.startswith(f"no containers: cannot ask Docker at {tmp_path}/d.sock: ")
    assert words in warning
    assert len(warning) < 400
    assert escape(warning) == warning
    assert [link.name for link in targets.targets[0].chosen] == ["eth0"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


@pytest.mark.usefixtures("hurried", "inside")
@tried("it hangs, and `--containers` was not asked for", "the warning all the same: names of containers are missing")
def test_a_daemon_that_is_there_but_hangs_is_said_to_who_asked_for_no_containers(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    with daemon(tmp_path / "d.sock", hang):
        targets = resolve_targets(CaptureOptions())
        targets.close()
        assert targets.warnings[0].startswith("no containers: ")


@pytest.mark.usefixtures("inside")
def test_no_daemon_is_nothing_to_remark_on_without_containers(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    targets = resolve_targets(CaptureOptions())
    targets.close()
    assert targets.warnings == []
    with pytest.raises(NoDaemonError):
        running_containers()


PARTS = [
    pytest.param({"Name": 7}, ("good2", ()), marks=tried("a name that is a number", "the id is its name")),
    pytest.param({"Name": "/" + "x" * 70_000}, ("good2", ()), marks=tried("a name of 70,000 characters", "the id")),
    pytest.param(
        {"Name": "/\ud800"}, ("\\ud800", ()), marks=tried("half a character as name", "captured, its name escaped")
    ),
    pytest.param(
        {"NetworkSettings": {"Networks": {"x": {"IPAddress": "not-an-ip"}, "y": 5, "z": {"IPAddress": "10.9.0.9"}}}},
        ("web2", ("10.9.0.9",)),
        marks=tried("an address that is none", "captured, without that address"),
    ),
    pytest.param({"NetworkSettings": []}, ("web2", ()), marks=tried("settings that are a list", "captured without")),
    pytest.param({"Config": "x", "Names": 1}, ("web2", ()), marks=tried("an image that is no text", "captured")),
]


@pytest.mark.parametrize(("odd", "expected"), PARTS)
def test_a_container_of_another_shape_is_known_by_what_is_left(tmp_path, monkeypatch, odd, expected):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    answers = {
        "/containers/json": [{"Id": "good"}, {"Id": "good2"}],
        "/containers/good/json": GOOD,
        "/containers/good2/json": {"Id": "good2", "Name": "/web2", "State": {"Pid": 1}} | odd,
    }
    with daemon(tmp_path / "d.sock", lambda connection, path: connection.sendall(says(answers[path]))):
        found = {container.id: container for container in running_containers()}
    assert found["good"].name == "web1"
    assert (found["good2"].name, found["good2"].addresses) == expected
    assert name_resolution({"10.0.0.1": found["good2"].name})


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(fixed(says(value)), marks=tried(what, LEFT_OUT), id=what)
        for what, value in (
            ("one of two containers is null", None),
            ("one of two containers is a list", [1]),
            ("one of two containers has a text as process id", {"State": {"Pid": "7"}}),
            ("one of two containers has no state", {"State": None}),
        )
    ]
    + [pytest.param(hang, marks=tried("it hangs about one of two containers", LEFT_OUT), id="hang")],
)
def test_one_container_that_cannot_be_understood_does_not_cost_the_others(tmp_path, monkeypatch, odd):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")

    def answer(connection, path):
        if "odd" in path:
            odd(connection, path)
        else:
            connection.sendall(says(GOOD if "good" in path else [{"Id": "odd"}, {"Id": "good"}]))

    warnings = []
    with daemon(tmp_path / "d.sock", answer):
        assert [container.name for container in running_containers(warnings)] == ["web1"]
    (warning,) = warnings
    assert warning.startswith("1 of 2 containers left out: ")


@tried("two containers of one name", "both are captured, apart: the id is part of the name")
def test_containers_of_one_name_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")

    def answer(connection, path):
        connection.sendall(says([{"Id": "a"}, {"Id": "b"}] if path == "/containers/json" else GOOD))

    with daemon(tmp_path / "d.sock", answer):
        assert [container.name for container in running_containers()] == ["web1@a", "web1@b"]


@pytest.mark.usefixtures("hurried")
@tried("200,000 containers are listed", "those asked in time are captured, the others counted in a warning")
def test_a_list_without_end_takes_no_longer(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    many = says([{"Id": f"c{number}"} for number in range(200_000)])

    def answer(connection, path):
        connection.sendall(many if path == "/containers/json" else says(GOOD))

    warnings = []
    with daemon(tmp_path / "d.sock", answer):
        try:
            assert running_containers(warnings)
        except TtraceError as error:  # a machine on which the list alone takes the time
            warnings = [f" of 200000 containers left out: {error}"]
    assert " of 200000 containers left out: " in warnings[0]


@tried("it drips, and SIGTERM comes meanwhile", "the capture ends at once, with its file and its summary")
def test_a_signal_ends_the_waiting_for_a_daemon(tmp_path, node, start):
    asked = threading.Event()

    def answer(connection, path):
        asked.set()
        drip(connection, path)

    with daemon(tmp_path / "d.sock", answer):
        capture = start(node, containers=True, environment={"DOCKER_HOST": f"unix://{tmp_path}/d.sock"})
        assert asked.wait(20)
        capture.process.send_signal(signal.SIGTERM)
        (warning,) = capture.wait_for("summary")["warnings"]
        assert warning.endswith("the capture is to end")
        assert capture.process.wait(10) == 0
