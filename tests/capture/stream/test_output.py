"""The file that is written: whole blocks, and whose it is."""

import os

import pytest

from ttrace.capture.stream.output import OutputFile
from ttrace.errors import TtraceError
from ttrace.pcapng.write import enhanced_packet


def test_a_write_that_ends_inside_a_block_keeps_the_whole_ones(tmp_path, monkeypatch):
    path = tmp_path / "x.pcapng"
    block = enhanced_packet(interface=0, time_ns=0, data=bytes(50))
    output = OutputFile(str(path))
    output.begin()
    output.append(block)
    real = os.write
    room = [len(block) * 2 + 7]

    def full(fd, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr("ttrace.capture.stream.output.os.write", full)
    with pytest.raises(TtraceError, match="No space left on device") as raised:
        output.append(block * 5)
    monkeypatch.undo()
    output.close()
    assert path.read_bytes() == block * 3
    assert f"{len(block) * 3} bytes" in raised.value.hint


def test_file_of_sudo_belongs_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    output = OutputFile(str(tmp_path / "x"))
    output.begin()
    output.close()
    status = (tmp_path / "x").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o600)


def test_fifo_without_a_reader_is_one_message(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = OutputFile(str(path))
    os.close(reader)
    with pytest.raises(TtraceError, match=r"the reader of `.*/fifo` is gone"):
        output.append(enhanced_packet(interface=0, time_ns=0, data=bytes(50)))
    output.close()


def test_what_is_no_file_keeps_its_owner_with_sudo(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    OutputFile(str(path)).close()
    os.close(reader)
    assert path.stat().st_uid == os.getuid()
