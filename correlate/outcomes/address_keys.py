"""Addresses as numbers: the halves that the tables hold, and keys to look them up by."""

import ipaddress
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.hashing import mix
from ..decode.flow_columns import MAPPED

_HALF = 2**64 - 1
_IPV4_MAPPED = int(MAPPED)


def address_halves(addresses: Iterable[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """(upper, lower) halves of addresses as SIGHTING has them; IPv4 ones are mapped. Raises ValueError for what is no
    address."""
    numbers = [int(ipaddress.ip_address(address)) | (_IPV4_MAPPED if "." in address else 0) for address in addresses]
    return np.array([n >> 64 for n in numbers], np.uint64), np.array([n & _HALF for n in numbers], np.uint64)


@njit(cache=True, nogil=True)
def address_key(high, low):
    """A hash of an address, from its halves."""
    return mix(high, low)


@njit(cache=True, nogil=True)
def owner_key(high, low, location):
    """The same, of an address and the location that has it."""
    return mix(mix(high, low), np.uint64(location))


def address_keys(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Row by row."""
    found = np.empty(high.size, np.uint64)
    _address_keys(high, low, found)
    return found


def owner_keys(
    high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], location: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Row by row."""
    found = np.empty(high.size, np.uint64)
    _owner_keys(high, low, location, found)
    return found


@njit(cache=True, nogil=True)
def _address_keys(high, low, found):
    for i in range(high.size):
        found[i] = address_key(high[i], low[i])


@njit(cache=True, nogil=True)
def _owner_keys(high, low, location, found):
    for i in range(high.size):
        found[i] = owner_key(high[i], low[i], location[i])
