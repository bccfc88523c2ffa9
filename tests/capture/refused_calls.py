"""A command that the kernel refuses some system calls, as container runtimes have it do (seccomp)."""

import sys

BPF, PERF_EVENT_OPEN = "bpf", "perf_event_open"
_RUN = """
import ctypes, os, platform, struct, sys
numbers = {"x86_64": {"bpf": 321, "perf_event_open": 298}, "aarch64": {"bpf": 280, "perf_event_open": 241}}
names = sys.argv[1].split(",")
code = [(0x20, 0, 0, 0)]  # load the number of the call
for name in names:
    code += [(0x15, 0, 1, numbers[platform.machine()][name]), (0x06, 0, 0, 0x00050001)]  # if it is that: EPERM
code.append((0x06, 0, 0, 0x7FFF0000))  # allow all others
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
program = ctypes.create_string_buffer(struct.pack("HP", len(code), ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())  # PR_SET_SECCOMP, a filter
os.execvp(sys.argv[2], sys.argv[2:])
"""


def refusing(*calls: str) -> list[str]:
    """In front of a command: it and what it starts get EPERM for these system calls."""
    return [sys.executable, "-S", "-c", _RUN, ",".join(calls)]
