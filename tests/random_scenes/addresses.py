"""Addresses as text, and what is asked of them again and again."""

from functools import cache
from ipaddress import ip_address, ip_interface, ip_network


@cache
def packed(address: str) -> bytes:
    return ip_address(address).packed


@cache
def host_of(interface: str) -> str:
    """The address of `10.0.0.1/24`."""
    return str(ip_interface(interface).ip)


@cache
def network_of(interface: str) -> str:
    """The network of it."""
    return str(ip_interface(interface).network)


@cache
def is_in(address: str, network: str) -> bool:
    target = ip_network(network)
    return ip_address(address).version == target.version and ip_address(address) in target


@cache
def prefix_of(network: str) -> int:
    """How long the prefix of a network is."""
    return ip_network(network).prefixlen


def version_of(address: str) -> int:
    return 6 if ":" in address else 4
