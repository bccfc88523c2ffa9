"""The file of a capture: made here, or refused. What others put under its name stays as it is, and gets nothing."""

import os
import socket
import stat

import pytest

from ttrace.capture.stream.output import OutputFile
from ttrace.errors import TtraceError
from ttrace.pcapng.write import enhanced_packet

BLOCK = enhanced_packet(interface=0, time_ns=0, data=bytes(50))
NOBODY = 65534
BEFORE = b"what was there before"


def record(path, **options):
    """A capture of one block."""
    with OutputFile(str(path), **options) as output:
        output.append(BLOCK)
        output.begin()


def refused(path, words, **options):
    with pytest.raises(TtraceError, match=words) as raised:
        record(path, **options)
    assert raised.value.hint


@pytest.fixture
def shared(tmp_path):
    """A folder like /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "there",
    [
        pytest.param(
            True,
            marks=pytest.mark.fault(
                "output file",
                "its name is a symbolic link to a file",
                "refused, with `--force` too; the file that the link names is untouched",
            ),
        ),
        pytest.param(
            False,
            marks=pytest.mark.fault(
                "output file", "its name is a symbolic link to nothing", "refused, and nothing is made there"
            ),
        ),
    ],
)
def test_a_link_is_not_followed(shared, tmp_path, there, force):
    target = tmp_path / "target"
    if there:
        target.write_bytes(BEFORE)
    link = shared / "x.pcapng"
    link.symlink_to(target)
    os.lchown(link, NOBODY, NOBODY)
    refused(link, "is a symbolic link", force=force)
    assert link.is_symlink()
    assert target.exists() == there
    assert not there or target.read_bytes() == BEFORE


@pytest.mark.fault("output file", "another user's link to a device stands there", "refused; the device gets nothing")
def test_a_link_to_a_device_is_not_followed(shared):
    link = shared / "x.pcapng"
    link.symlink_to("/dev/null")
    refused(link, "is a symbolic link")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.fault("output file", "another user made it beforehand, writable for all", "refused, with `--force` too")
def test_a_file_of_another_is_not_filled(shared, force):
    path = shared / "x.pcapng"
    path.write_bytes(BEFORE)
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)
    refused(path, "belongs to user nobody", force=force)
    assert path.read_bytes() == BEFORE
    assert list(shared.iterdir()) == [path]


@pytest.mark.fault("output file", "another user made a FIFO of its name, and reads", "refused; the reader gets nothing")
def test_a_fifo_of_another_is_not_filled(shared):
    path = shared / "x.pcapng"
    os.mkfifo(path)
    os.chown(path, NOBODY, NOBODY)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    refused(path, "belongs to user nobody")
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.fault("output file", "it exists", "refused without `--force`; the old one is untouched")
def test_what_is_there_is_refused(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(BEFORE)
    path.chmod(0o644)
    refused(path, "exists already")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (BEFORE, 0o644)


@pytest.mark.fault(
    "output file",
    "with `--force`, an old one that somebody has open to read",
    "he sees the old content; the new file is 0600",
)
def test_who_has_the_old_file_open_sees_nothing_of_the_new(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(BEFORE)
    path.chmod(0o644)
    with path.open("rb") as file:
        record(path, force=True)
        assert file.read() == BEFORE
    assert path.read_bytes() == BLOCK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.fault(
    "output file", "with `--force`, a second name of another file of root's (hard link)", "that file keeps its content"
)
def test_a_second_name_of_a_file_is_replaced_and_the_file_is_not(tmp_path, shared):
    precious = tmp_path / "precious"
    precious.write_bytes(BEFORE)
    os.link(precious, shared / "x.pcapng")
    record(shared / "x.pcapng", force=True)
    assert precious.read_bytes() == BEFORE
    assert (shared / "x.pcapng").read_bytes() == BLOCK


@pytest.mark.fault(
    "output file",
    "with `--force`, the capture is refused before it stands",
    "the old one stays, nothing is left beside it",
)
def test_the_old_file_stays_until_the_capture_stands(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(BEFORE)
    with OutputFile(str(path), force=True) as output:
        output.append(BLOCK)
        assert path.read_bytes() == BEFORE
    assert path.read_bytes() == BEFORE
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.fault("output file", "another capture writes it", "refused with `--force` too, by a line that says so")
def test_a_file_that_is_being_written_is_not_replaced(tmp_path):
    path = tmp_path / "x.pcapng"
    with OutputFile(str(path)) as output:
        output.begin()
        for force in (False, True):
            refused(path, "another capture is writing", force=force)
    record(path, force=True)
    assert path.read_bytes() == BLOCK


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(0o000, marks=pytest.mark.fault("output file", "umask 0", "its mode is 0600")),
        pytest.param(0o777, marks=pytest.mark.fault("output file", "umask 777", "its mode is 0600")),
    ],
)
def test_its_mode_does_not_depend_on_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        record(tmp_path / "x.pcapng")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.pcapng").stat().st_mode) == 0o600


@pytest.mark.fault(
    "output file",
    "with sudo, a file that root made stands there",
    "with `--force` the new one is the caller's; its second name stays root's",
)
def test_only_what_was_made_here_is_given_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    path, second = tmp_path / "x.pcapng", tmp_path / "second"
    path.write_bytes(BEFORE)
    os.link(path, second)
    record(path, force=True)
    assert (path.stat().st_uid, path.stat().st_gid, second.stat().st_uid) == (1234, 2345, os.geteuid())
    # The next one replaces the caller's own.
    record(path, force=True)
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (1234, 0o600)


@pytest.mark.fault("output file", "a folder in its path is a symbolic link", "followed")
def test_a_folder_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    record(tmp_path / "link" / "x.pcapng")
    assert (tmp_path / "real" / "x.pcapng").read_bytes() == BLOCK


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("folder", marks=pytest.mark.fault("output file", "its name is a folder", "refused by one line")),
        pytest.param("socket", marks=pytest.mark.fault("output file", "its name is a socket", "refused by one line")),
    ],
)
def test_what_is_no_file_is_named(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    for force in (False, True):
        refused(path, f"is a {kind}", force=force)
    assert path.exists()


@pytest.mark.fault(
    "output file", "a capture that never stood; its name has become another's meanwhile", "the other file stays"
)
def test_what_another_put_in_its_place_is_not_removed(tmp_path):
    path = tmp_path / "x.pcapng"
    with OutputFile(str(path)):
        path.unlink()
        path.write_bytes(BEFORE)
    assert path.read_bytes() == BEFORE


@pytest.mark.fault("output file", "a pipe that a shell made, `-w >(gzip > x.gz)`", "taken")
def test_an_inherited_pipe_is_written():
    reader, writer = os.pipe()
    record(f"/dev/fd/{writer}")
    os.close(writer)
    assert os.read(reader, 1 << 16) == BLOCK
    os.close(reader)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        pytest.param(
            lambda path: path.unlink(),
            "was deleted",
            marks=pytest.mark.fault("output file", "deleted, and another made in its place", "seen; see below"),
        ),
        pytest.param(
            lambda path: path.rename(path.with_name("y")),
            r"was moved to `.*/y`",
            marks=pytest.mark.fault(
                "output file", "moved, and another made in its place", "seen; the line says where it is"
            ),
        ),
    ],
)
def test_another_file_in_its_place_is_no_comfort(tmp_path, do, words):
    path = tmp_path / "x.pcapng"
    with OutputFile(str(path)) as output:
        output.append(BLOCK)
        output.begin()
        assert output.trouble() is None
        do(path)
        path.write_bytes(BLOCK)
        with pytest.raises(TtraceError, match=words):
            raise output.trouble()


@pytest.mark.fault(
    "output file",
    "a link in its path is turned to another folder meanwhile",
    "the capture goes on: the file is where it was",
)
def test_a_link_that_is_turned_elsewhere_does_not_matter(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("one")
    with OutputFile(str(tmp_path / "link" / "x.pcapng")) as output:
        output.begin()
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("two")
        assert output.trouble() is None
