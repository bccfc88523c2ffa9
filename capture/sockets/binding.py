"""Which interface a packet socket is bound to: by its index (struct sockaddr_ll, linux/if_packet.h).

Python's own calls name it instead. A name may have become another interface's meanwhile, and may be any bytes, of which
Python takes only UTF-8.
"""

import ctypes
import os
import socket
import struct
from typing import Final

from ..machine.libc import LIBC
from .numbers import ETH_P_ALL

_ADDRESS: Final = struct.Struct("=HHiHBB8s")
"""struct sockaddr_ll: family, protocol in network order, index, then what only a sender fills in."""


def bind_to_interface(packet_socket: socket.socket, index: int) -> None:
    """Receive every packet of an interface of the socket's namespace. Raises OSError."""
    address = _ADDRESS.pack(socket.AF_PACKET, socket.htons(ETH_P_ALL), index, 0, 0, 0, bytes(8))
    if LIBC.bind(packet_socket.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def bound_index(packet_socket: socket.socket) -> int:
    """Index of the interface; not positive when that is gone. Raises OSError."""
    address = ctypes.create_string_buffer(_ADDRESS.size)
    length = ctypes.c_uint(_ADDRESS.size)
    if LIBC.getsockname(packet_socket.fileno(), address, ctypes.byref(length)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(_ADDRESS.unpack(address.raw)[2])
