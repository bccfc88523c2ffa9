"""What is done to the files and folders of a ring while it is written."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ttrace.lab import wait_until
from ttrace.pcapng.read import read_capture

from .test_limits import LONG_S, numbers, sent


def goes_on(folder: Path, count: int = 2) -> None:
    """Wait for so many further files."""
    last = numbers(folder)[-1]
    wait_until(lambda: numbers(folder)[-1] >= last + count, LONG_S, "the ring goes on")


def numbers_of_now(folder: Path, least: str) -> list[Path]:
    """Files of this year or later whose names are behind `least`."""
    return [path for path in folder.glob("out-000*") if "-2020" not in path.name and path.name > least]


def start_ring(start, network, folder: Path, **options):
    options = {"rotate_time_s": 0.2, "trace": False, "interfaces": ["eth0"]} | options
    capture = start(network.router, output=f"{folder}/out.pcapng", **options)
    wait_until(lambda: len(numbers(folder)) >= 2, LONG_S, "two files")
    return capture


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda folder: shutil.rmtree(folder), "was deleted while it was written",
            marks=pytest.mark.fault("ring", "its folder is deleted", "ended within a second, one error line, exit 1"),
        ),
        pytest.param(
            lambda folder: folder.rename(folder.with_name("elsewhere")), "while it was written",
            marks=pytest.mark.fault("ring", "its folder is renamed", "ended within a second, one error line, exit 1"),
        ),
    ],
)  # fmt: skip
def test_folder_that_is_gone_ends_the_capture(network, start, tmp_path, spoil, message):
    folder = tmp_path / "ring"
    folder.mkdir()
    capture = start(network.router, output=f"{folder}/out.pcapng", rotate_time_s=600, trace=False)
    capture.wait_ready()
    spoil(folder)
    assert message in capture.wait_for("error")[0]
    assert capture.process.wait(10) == 1


@pytest.mark.fault("ring", "links have the names of the next files", "not followed; a warning, another name later")
def test_links_in_the_place_of_the_next_file_are_not_followed(network, start, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "ring"
    folder.mkdir()
    capture = start(network.router, output=f"{folder}/out.pcapng", rotate_time_s=0.5, trace=False, interfaces=["eth0"])
    capture.wait_ready()
    begun, number = time.time(), numbers(folder)[-1] + 1
    for second in range(-1, 4):
        for ahead in range(3):
            name = time.strftime("%Y%m%d-%H%M%S", time.localtime(begun + second))
            (folder / f"out-{number + ahead:05}-{name}.pcapng").symlink_to(victim)
    wait_until(lambda: time.time() > begun + 4.5, LONG_S, "the names are over")
    there = {path for path in folder.iterdir() if not path.is_symlink()}
    wait_until(lambda: any(p not in there and not p.is_symlink() for p in folder.iterdir()), LONG_S, "it goes on")
    warnings = capture.stop()["warnings"]
    assert victim.read_text() == "precious"
    assert all("no further file of the ring could be begun" in warning for warning in warnings)


@pytest.mark.fault("ring", "a folder has the name of the part that is to be kept", "the part gets another name")
def test_taken_name_of_a_part(network, start, tmp_path):
    capture = start_ring(start, network, tmp_path, freeze_on=["udp dport 4321"], freeze_before_s=1, freeze_after_s=0.1)
    begun = time.time()
    for second in range(-1, 60):
        name = time.strftime("%Y%m%d-%H%M%S", time.localtime(begun + second))
        (tmp_path / f"out-frozen-{name}-match").mkdir(mode=0o755)
    taken = set(tmp_path.glob("out-frozen-*"))
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.8.0.2', 4321))"
    network.run(network.client, "python3", "-c", send)
    wait_until(lambda: set(tmp_path.glob("out-frozen-*")) - taken, LONG_S, "the part")
    (folder,) = set(tmp_path.glob("out-frozen-*")) - taken
    assert folder.name.endswith("-match-2")
    wait_until(lambda: any(folder.iterdir()), LONG_S, "its files")
    assert capture.stop()["frozen"] == [str(folder)]
    assert not any(child for other in taken for child in other.iterdir())


@pytest.mark.fault("ring", "kill -9 while a part is being kept", "its whole files are in its folder, all are readable")
def test_kill_while_a_part_is_kept(network, start, tmp_path):
    capture = start_ring(start, network, tmp_path, freeze_on=["udp dport 4321"], freeze_before_s=60, freeze_after_s=60)
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.8.0.2', 4321))"
    network.run(network.client, "python3", "-c", send)
    wait_until(lambda: len(list(tmp_path.glob("out-frozen-*/*"))) > 3, LONG_S, "four files")
    capture.process.kill()
    capture.process.wait()
    assert numbers(next(tmp_path.glob("out-frozen-*")))[0] == 1
    assert all(read_capture(path).truncated_at is None for path in tmp_path.glob("out-frozen-*/*"))
    assert len(numbers(tmp_path)) == 1


@pytest.mark.fault("ring", "the oldest file may not be removed", "a warning; it goes on")
def test_file_that_cannot_be_removed_is_a_warning(network, start, tmp_path):
    capture = start_ring(start, network, tmp_path, rotate_time_s=0.5, keep=3)
    # Of two files, the end of the first may still be being written.
    wait_until(lambda: len(numbers(tmp_path)) == 3, LONG_S, "three files")
    first = min(tmp_path.glob("out-*.pcapng"))
    subprocess.run(["chattr", "+i", str(first)], check=True)
    try:
        goes_on(tmp_path, 4)
        (warning,) = capture.stop()["warnings"]
        assert warning == f"`{first}` could not be removed from the ring: Operation not permitted"
        assert len(numbers(tmp_path)) == 4
    finally:
        subprocess.run(["chattr", "-i", str(first)], check=True)


@pytest.mark.fault("ring", "files of other users, links, folders have names of the ring", "none is removed or followed")
def test_what_is_not_of_the_ring_is_left_alone(network, start, tmp_path):
    others = tmp_path / "out-00007-20200101-000000.pcapng"
    others.write_text("of another")
    os.chown(others, 1234, 1234)
    (tmp_path / "out-00008-20200101-000000.pcapng").mkdir()
    (tmp_path / "out-00009-20200101-000000.pcapng").symlink_to(others)
    (tmp_path / "out-00003-20200101-000000.pcapng.gz").write_text("compressed")
    (tmp_path / "out-x-20200101-000000.pcapng").write_text("another name")
    before = {path.name for path in tmp_path.iterdir() if path.name.startswith("out")}
    capture = start(
        network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.2, keep=2, trace=False, interfaces=["eth0"]
    )
    wait_until(lambda: numbers_of_now(tmp_path, "out-00012"), LONG_S, "five files")
    capture.stop()
    after = {path.name for path in tmp_path.iterdir() if path.name.startswith("out")}
    assert before <= after
    assert len(after - before) == 2
    assert others.read_text() == "of another"


@pytest.mark.fault("ring", "written with sudo, and started again", "all is the caller's, and counts as its own")
def test_ring_of_sudo_belongs_to_the_caller(network, start, tmp_path):
    environment = {"SUDO_UID": "1234", "SUDO_GID": "2345"}
    options = {"rotate_time_s": 0.2, "keep": 3, "trace": False, "freeze_on": ["udp dport 4321"], "freeze_after_s": 0.1}

    def begin():
        capture = start(network.router, environment=environment, output=f"{tmp_path}/out.pcapng", **options)
        capture.wait_ready()
        goes_on(tmp_path, 4)
        return capture

    begin().stop()
    before = numbers(tmp_path)
    assert len(before) == 3
    capture = begin()
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.8.0.2', 4321))"
    network.run(network.client, "python3", "-c", send)
    wait_until(lambda: any(tmp_path.glob("out-frozen-*/*")), LONG_S, "a part")
    capture.stop()
    assert not set(numbers(tmp_path)) & set(before)
    owned = [path.lstat() for path in tmp_path.rglob("out-*")]
    assert {(status.st_uid, status.st_gid) for status in owned} == {(1234, 2345)}
    assert {status.st_mode & 0o077 for status in owned} == {0}


@pytest.mark.fault("ring", "snapshots are larger than a file is to be", "each file takes packets all the same")
def test_snapshots_larger_than_the_file(network, start, tmp_path):
    rules = "\n".join(f"add rule inet big c ip saddr 192.0.2.{n} counter accept" for n in range(250))
    text = "add table inet big\nadd chain inet big c\n" + rules
    network.run(network.router, "nft", text)
    capture = start(
        network.router, output=f"{tmp_path}/out.pcapng", rotate_size=1 << 16, trace=False, interfaces=["eth0"]
    )
    capture.wait_ready()
    send = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for n in range(400):\n"
        f"    s.sendto(n.to_bytes(4, 'big') + bytes(1396), ('{network.server_address}', 9))\n"
        "    time.sleep(0.003)\n"
    )
    network.run(network.client, "python3", "-c", send)
    assert capture.stop()["lost"] == 0
    assert sent(tmp_path) == list(range(400))
    # 600 kB of packets, of which each file takes half of its size at least.
    assert 3 < len(numbers(tmp_path)) < 25
    assert min(path.stat().st_size for path in list(tmp_path.glob("out-*"))[:-1]) > 1 << 16
