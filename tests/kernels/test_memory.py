"""Memory that was freed is used again, where it is to be."""

import subprocess
import sys

import pytest

PROGRAM = """if True:
    import resource, sys
    from ttrace.kernels import memory
    getattr(memory, sys.argv[1])()
    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(64 << 20)[:] = b"x" * (64 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    faults()
    print(faults())"""


@pytest.mark.parametrize(("how", "is_kept"), [("keep_freed", True), ("return_freed", False)])
def test_what_is_freed_is_kept_or_given_back(how, is_kept):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 1000) == is_kept, done.stdout


def test_another_c_library_does_without(monkeypatch):
    from ttrace.kernels import memory

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: object())
    memory.keep_freed()
    memory.return_freed()
