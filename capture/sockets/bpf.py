"""Compiles pcap-filter expressions with libpcap into the classic BPF program of a packet socket.

The handle is a live one (`pcap_open_live`): on a dead handle `vlan` matches nothing, because the kernel has taken
the tag out of the frame by then, and `inbound` is refused.
"""

import ctypes
import os
import struct
from functools import cache
from typing import Final

from ...errors import TtraceError
from ...pcapng.blocks import LinkType

_ERROR_BYTES = 256  # PCAP_ERRBUF_SIZE (pcap/pcap.h)
_NETMASK_UNKNOWN = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN
_BPF_RETURN = 0x06  # BPF_RET | BPF_K (linux/bpf_common.h)
_DLT_ETHERNET = 1
_DLT_RAW = 12  # pcap/dlt.h: 101 in files, another number for the compiler
_NOT_PROMISCUOUS = 0
_TIMEOUT_MS = 10
_OPTIMIZE = 1


class _Instruction(ctypes.Structure):
    """`struct bpf_insn`, the same as the kernel's `struct sock_filter`."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


INSTRUCTION_BYTES: Final = ctypes.sizeof(_Instruction)


class _Program(ctypes.Structure):
    """`struct bpf_program`."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


@cache
def load_libpcap() -> ctypes.CDLL:
    """Load libpcap with its prototypes; raises TtraceError that names the package."""
    try:
        library = ctypes.CDLL("libpcap.so.0.8")
    except OSError:
        try:
            library = ctypes.CDLL("libpcap.so.1")  # its name outside Debian
        except OSError as error:
            raise TtraceError("libpcap is not installed", hint="`apt install libpcap0.8`") from error
    library.pcap_open_live.restype = ctypes.c_void_p
    library.pcap_open_live.argtypes = [
        ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_char_p,
    ]  # fmt: skip
    library.pcap_datalink.argtypes = [ctypes.c_void_p]
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
    library.pcap_compile.argtypes = [
        ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
    ]  # fmt: skip
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_geterr.argtypes = [ctypes.c_void_p]
    library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
    library.pcap_close.argtypes = [ctypes.c_void_p]
    return library


def accept_all(snaplen: int) -> bytes:
    """Program (array of struct sock_filter) that keeps the first `snaplen` bytes of every packet."""
    return struct.pack("=HBBI", _BPF_RETURN, 0, 0, snaplen)


def compile_filter(expression: str | None, *, snaplen: int, link_type: LinkType, interface: str) -> bytes:
    """Compile `expression` for `interface`, which must be in the namespace of the calling thread.

    Returns an array of struct sock_filter whose result is `snaplen` or 0. Raises TtraceError with libpcap's own words.
    """
    if not expression or not expression.strip():
        return accept_all(snaplen)
    library = load_libpcap()
    handle = None
    if link_type is LinkType.ETHERNET:
        handle = library.pcap_open_live(
            os.fsencode(interface), snaplen, _NOT_PROMISCUOUS, _TIMEOUT_MS, ctypes.create_string_buffer(_ERROR_BYTES)
        )
        if handle and library.pcap_datalink(handle) != _DLT_ETHERNET:  # a device of libpcap's own, as `any`
            library.pcap_close(handle)
            handle = None
    handle = handle or library.pcap_open_dead(_DLT_RAW if link_type is LinkType.RAW else int(link_type), snaplen)
    program = _Program()
    try:
        if (
            library.pcap_compile(handle, ctypes.byref(program), os.fsencode(expression), _OPTIMIZE, _NETMASK_UNKNOWN)
            != 0
        ):
            reason = library.pcap_geterr(handle).decode(errors="replace")
            raise TtraceError(f"filter `{expression}`: {reason}", hint="the syntax is tcpdump's, see `man pcap-filter`")
        code = ctypes.string_at(program.instructions, program.length * INSTRUCTION_BYTES)
        library.pcap_freecode(ctypes.byref(program))
        return code
    finally:
        library.pcap_close(handle)
