"""A container that does what it can against who captures it: names of any bytes, thousands of interfaces, floods."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest

from ttrace.capture import CaptureOptions, targets, watch
from ttrace.capture.doctor import examine
from ttrace.capture.machine.links import Link
from ttrace.capture.machine.netns import open_netns
from ttrace.capture.parallel import Workers
from ttrace.capture.rules.ruleset import read_ruleset
from ttrace.capture.session import open_chosen
from ttrace.capture.sockets.ring import PointError
from ttrace.capture.targets import Target, Targets, limit_points, resolve_targets
from ttrace.capture.warnings import MOST, Warnings
from ttrace.errors import TtraceError
from ttrace.lab import wait_until

from .command import run_ttrace
from .conftest import ip, tshark
from .hostile import make_interface, make_table

NAMES = {
    b"e\x1b[31mX": "e\x1b[31mX",
    b"v\xff\xfe": "v\\xff\\xfe",
    b"c\xc2\x9b31m": "c\u009b31m",
    b"\xe2\x80\xaetxt": "\u202etxt",
    b"\xed\xa1\x80": "\\xed\\xa1\\x80",
    b"\xc0\xafx": "\\xc0\\xafx",
    b"any": "any",
    b"nflog": "nflog",
    b'"{}$(id)`': '"{}$(id)`',
    b"\x01\x7f": "\x01\x7f",
    b"abcdefghijklm\xff\xff": "abcdefghijklm\\xff\\xff",
    b"v\\xff": "v\\xff",
}
"""What the kernel is told, and what stands in the file."""


def tried(what: str, result: str):
    return pytest.mark.fault("hostile containers", what, result)


@pytest.fixture(scope="module")
def zoo():
    """A namespace with an interface of each name."""
    name = f"ttcap-{os.getpid()}-zoo"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        netns = open_netns(name)
        with netns.entered():
            for one in NAMES:
                make_interface(one)
        netns.close()
        yield name
    finally:
        ip("netns", "del", name)


@pytest.fixture(scope="module")
def captured(zoo, tmp_path_factory):
    """(The command's result, its file): a capture of all of them, with a filter."""
    file = tmp_path_factory.mktemp("zoo") / "zoo.pcapng"
    return run_ttrace("capture", "-w", str(file), "--duration", "0.3", "--filter", "vlan or ip", namespace=zoo), file


def is_clean(text: str) -> bool:
    return text.replace("\n", "").isprintable() and "Traceback" not in text


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=tried(f"an interface `{name!r:.40}`", "captured, its name escaped"), id=str(number))
        for number, name in enumerate(NAMES)
    ],
)
def test_an_interface_of_any_name_is_captured_and_shown_escaped(captured, name):
    done, file = captured
    assert done.returncode == 0, done.stderr
    assert is_clean(done.stdout + done.stderr)
    assert "warning" not in done.stderr
    assert '"netns": "root", "inode"' in file.read_bytes().decode(errors="replace")
    assert NAMES[name].encode() in file.read_bytes()


def test_a_file_with_any_names_is_shown_and_read_by_others(captured, zoo):
    _, file = captured
    shown = run_ttrace("show", str(file), namespace=zoo)
    assert shown.returncode == 0, shown.stderr
    assert is_clean(shown.stdout + shown.stderr)
    for text in ("e\\x1b[31mX", "v\\xff\\xfe", "c\\x9b31m", "\\u202etxt"):
        assert text in shown.stdout
    assert tshark(file)


@tried("interfaces of any name, and `doctor`", "said escaped; the machine can be traced")
def test_doctor_lists_any_names(zoo):
    done = run_ttrace("doctor", namespace=zoo)
    assert done.returncode == 0, done.stdout
    assert is_clean(done.stdout + done.stderr)
    assert "v\\xff\\xfe" in done.stdout


@tried("an interface that is no UTF-8 is named with `--iface`", "found by its bytes and as it is shown")
@pytest.mark.parametrize("name", ["v\udcff\udcfe", "v\\xff\\xfe"])
def test_an_interface_is_chosen_by_its_bytes_or_as_it_is_shown(zoo, name):
    netns = open_netns(zoo)
    with netns.entered():
        found = resolve_targets(CaptureOptions(interfaces=(name,)))
        found.close()
    netns.close()
    assert [link.name for link in found.targets[0].chosen] == ["v\\xff\\xfe"]


@tried("a filter, a match or a node's name that is no UTF-8", "one line, or escaped in the file")
@pytest.mark.parametrize(
    ("options", "code"),
    [(["--filter", b"host \xff"], 1), (["--trace-match", b"tcp \xff"], 1), (["--node-name", b"\xff"], 0)],
)
def test_arguments_of_any_bytes_are_no_end(node, tmp_path, options, code):
    done = run_ttrace("capture", "-w", str(tmp_path / "x"), "--duration", "0.1", *options, namespace=node)
    assert done.returncode == code, done.stderr
    assert is_clean(done.stderr)


TABLES = {
    b'x;include"/dev/stdin"': "a table whose name is a command of nft",
    b"e\x1b[31m": "a table with an escape in its name",
    b"\xff\xfe": "a table whose name is no UTF-8 (`nft -j` ends with SIGABRT)",
    b"a b {\n}\ntable ip forged": "a table whose name is several lines",
    b"\xed\xa0\x80": "a table with half a character in its name",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=tried(what, "its rules are recorded; the capture runs"), id=what)
        for name, what in TABLES.items()
    ],
)
def test_rules_of_any_name_are_read(router, name):
    with router.entered():
        make_table(name)
    rules = read_ruleset(router)
    assert json.dumps(rules)
    assert "chain POSTROUTING" in rules["nft"]
    assert "-j MASQUERADE" in rules["iptables"]["ip"]
    with router.entered():
        assert {finding.name: finding for finding in examine()}["tracing table"].text == "works"


@tried("a comment in a rule that is no UTF-8", "recorded escaped; the capture runs to its end")
def test_a_capture_outlives_rules_of_any_bytes(network, router, tmp_path):
    with router.entered():
        make_table(b"\xff\xfe")
    file = tmp_path / "x.pcapng"
    done = run_ttrace("capture", "-w", str(file), "--duration", "0.2", namespace=network.router)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert b"MASQUERADE" in file.read_bytes()


@tried("an interface of any bytes comes while a capture runs", "captured")
def test_a_late_interface_of_any_bytes_is_captured(network, router, start):
    capture = start(network.router)
    capture.wait_ready()
    with router.entered():
        make_interface(b"l\xff\x1b")
    wait_until(lambda: b"l\\xff\x1b" in capture.path.read_bytes(), 10.0, "the new interface is in the file")
    assert "l\\xff\x1b" in {point["interface"] for point in capture.stop()["points"]}
    assert tshark(capture.path)


@tried("a container makes 80 interfaces", "64 of them are captured, the others counted in a warning")
def test_a_container_with_many_interfaces_does_not_take_all_memory(docker, network, start):
    batch = "".join(f"link add many{number} type bridge\nlink set many{number} up\n" for number in range(80))
    subprocess.run(["ip", "-n", network.client, "-batch", "-"], input=batch, text=True, check=True, capture_output=True)
    summary = start(network.router, containers=True, trace=False, duration_s=0.1).wait_for("summary")
    assert docker
    (warning,) = summary["warnings"]
    assert warning.startswith("container web1: 17 interfaces are not captured beside 64")
    assert sum(point["netns"] == "web1" for point in summary["points"]) == targets.MOST_OF_CONTAINER


@tried("more interfaces than there is memory for", "the first are captured, the others counted in a warning")
def test_interfaces_beyond_the_memory_are_left_out(router):
    links = [SimpleNamespace(name=f"x{number}") for number in range(100)]
    found = Targets([Target(router, [], links), Target(router, [], links[:50])], [], [], [])
    limit_points(found, 120)
    assert [len(target.chosen) for target in found.targets] == [100, 20]
    assert found.warnings[0].startswith(f"{router.description}: 30 interfaces are not captured beside 20")


def gone(name: str) -> Link:
    return Link(
        index=99_999, name=name, mac=None, mtu=1500, kind=None, master=None, peer_index=None, peer_nsid=None,
        peer_netns=None, up=True, hardware_type=1,
    )  # fmt: skip


@tried("an interface that goes away while the capture begins", "a warning; the others are captured")
def test_an_interface_that_is_gone_at_the_start_is_a_warning(router, monkeypatch):
    session = SimpleNamespace(options=CaptureOptions(), warnings=Warnings(), rings=[], programs={})
    monkeypatch.setattr("ttrace.capture.session.open_ring", _refuse)
    session.ring_budget = SimpleNamespace(next_blocks=lambda _: 8, next_units=lambda _: 8)
    session.arena = None
    open_chosen(session, Target(router, [], []), gone("gone0"))
    assert session.warnings == ["cannot capture on `gone0`"]
    session.options = CaptureOptions(interfaces=("gone0",))
    with pytest.raises(TtraceError, match="cannot capture on `gone0`"):
        open_chosen(session, Target(router, [], []), gone("gone0"))


def _refuse(*_, interface, **__):
    raise PointError(f"cannot capture on `{interface}`")


@pytest.fixture
def watching(router):
    """(A watch of a capture in the namespace that records nothing, its session)."""
    session = SimpleNamespace(
        rings=[], sockets=[], options=CaptureOptions(), warnings=Warnings(), arena=SimpleNamespace(free_slots=1),
        targets=SimpleNamespace(targets=[SimpleNamespace(netns=router)]), workers=Workers(),
    )  # fmt: skip
    ends = os.pipe()
    opened = watch.Watch(session, None, SimpleNamespace(fd=ends[0]))
    yield opened, session
    opened.close()
    session.workers.close()
    for fd in ends:
        os.close(fd)


def wait_for_arrival(watching, asked: list[str], name: str) -> None:
    def has_come() -> bool:
        watching.wait(0.05)
        return name in asked

    wait_until(has_come, 10.0, f"{name} was seen")


@tried("a link that changes without end", "links are looked at a few times, and new ones found all the same")
def test_a_link_that_flaps_does_not_keep_the_capture_busy(network, watching, monkeypatch):
    opened, session = watching
    looks, asked = [], []

    def refuse(*arguments):
        asked.append(arguments[-1].name)
        raise TtraceError(f"cannot capture on `{arguments[-1].name}`")

    monkeypatch.setattr(watch, "open_point", refuse)
    read = watch.read_links
    monkeypatch.setattr(watch, "read_links", lambda route: looks.append(1) or read(route))
    flaps = "".join(f"link set veth0 mtu {1300 + number % 2}\n" for number in range(400))
    done = subprocess.run(["ip", "-n", network.router, "-batch", "-"], input=flaps, text=True, check=False)
    assert done.returncode == 0
    for _ in range(50):
        opened.wait(0)
    assert len(looks) == 1
    network.run(network.router, "ip", "link", "add", "late0", "up", "type", "bridge")
    wait_for_arrival(opened, asked, "late0")
    assert len(looks) < 5
    assert "cannot capture on `late0`" in session.warnings


@tried("links cannot be read when one has come", "one warning; tried again, and the link is captured")
@pytest.mark.parametrize("error", [TtraceError("cannot read the links"), OSError(24, "Too many open files")])
def test_links_that_cannot_be_read_end_nothing(network, watching, monkeypatch, error):
    opened, session = watching
    asked = []
    failing = [error, error]
    read = watch.read_links

    def sometimes(route):
        if failing:
            raise failing.pop()
        return read(route)

    def refuse(*arguments):
        asked.append(arguments[-1].name)
        raise TtraceError(f"cannot capture on `{arguments[-1].name}`")

    monkeypatch.setattr(watch, "read_links", sometimes)
    monkeypatch.setattr(watch, "open_point", refuse)
    network.run(network.router, "ip", "link", "add", "late0", "up", "type", "bridge")
    wait_for_arrival(opened, asked, "late0")
    assert [line.partition(":")[0] for line in session.warnings].count("new interfaces are not captured for now") == 1


@tried("more warnings than anybody reads, for weeks", "each once, 200 of them, then how many more")
def test_warnings_are_said_once_and_not_without_end():
    said = Warnings()
    said += ["same"] * 5
    for number in range(MOST + 10):
        said.append(f"interface `x{number}` went away")
    assert len(said) == MOST
    assert said.told()[-1] == "and 11 more warnings"
