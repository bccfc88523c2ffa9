"""The settings of a network namespace that decide a packet's way (docs/file-format.md)."""

import os
from collections.abc import Iterable
from typing import Final

from .netns import Netns, plain_text

_FOLDER: Final = "/proc/sys"
_MOST_BYTES: Final = 256
_MOST_INTERFACES: Final = 2_000
"""Of so many the own settings are read: that takes 0.3 s."""
_SETTINGS: Final = (
    "net/ipv4/ip_forward", "net/ipv4/ip_nonlocal_bind", "net/ipv4/ip_default_ttl", "net/ipv4/ip_no_pmtu_disc",
    "net/ipv4/ip_forward_use_pmtu", "net/ipv4/fib_multipath_hash_policy", "net/ipv4/fib_multipath_use_neigh",
    "net/ipv4/fwmark_reflect", "net/ipv4/nexthop_compat_mode", "net/ipv4/icmp_ratelimit", "net/ipv4/icmp_ratemask",
    "net/ipv4/icmp_echo_ignore_all", "net/ipv4/ipfrag_time", "net/ipv4/ipfrag_high_thresh", "net/ipv4/ipfrag_max_dist",
    "net/ipv4/tcp_max_syn_backlog", "net/ipv4/tcp_syncookies", "net/ipv4/tcp_abort_on_overflow",
    "net/ipv4/tcp_synack_retries", "net/ipv4/tcp_syn_retries", "net/ipv4/tcp_fwmark_accept", "net/ipv4/tcp_mtu_probing",
    "net/ipv4/tcp_timestamps", "net/ipv4/tcp_tw_reuse", "net/ipv4/ip_local_port_range",
    "net/ipv6/bindv6only", "net/ipv6/ip_nonlocal_bind", "net/ipv6/fwmark_reflect", "net/ipv6/fib_multipath_hash_policy",
    "net/ipv6/ip6frag_time", "net/ipv6/icmp/ratelimit",
    "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables", "net/bridge/bridge-nf-call-arptables",
    "net/bridge/bridge-nf-filter-vlan-tagged", "net/bridge/bridge-nf-filter-pppoe-tagged",
    "net/bridge/bridge-nf-pass-vlan-input-dev",
    "net/core/somaxconn", "net/core/netdev_max_backlog", "net/core/netdev_budget",
    "net/netfilter/nf_conntrack_acct", "net/netfilter/nf_conntrack_timestamp", "net/netfilter/nf_conntrack_events",
    "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_tcp_be_liberal", "net/netfilter/nf_conntrack_tcp_loose",
    "net/netfilter/nf_conntrack_tcp_ignore_invalid_rst", "net/netfilter/nf_conntrack_checksum",
    "net/netfilter/nf_conntrack_log_invalid", "net/netfilter/nf_conntrack_udp_timeout",
    "net/netfilter/nf_conntrack_udp_timeout_stream", "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_log/2", "net/netfilter/nf_log/10", "net/netfilter/nf_log_all_netns",
)  # fmt: skip
_OF_INTERFACES: Final = {
    "net/ipv4/conf": (
        "rp_filter", "forwarding", "accept_local", "route_localnet", "send_redirects", "accept_redirects", "proxy_arp",
        "proxy_arp_pvlan", "arp_ignore", "arp_filter", "arp_announce", "log_martians", "src_valid_mark",
        "ignore_routes_with_linkdown",
    ),
    "net/ipv6/conf": (
        "forwarding", "disable_ipv6", "accept_redirects", "accept_ra", "proxy_ndp", "ignore_routes_with_linkdown",
    ),
}  # fmt: skip
_OF_ALL: Final = ("all", "default")


def read_sysctls(netns: Netns) -> tuple[dict[str, str], bool]:
    """(Setting to value, in sysctl's own spelling with dots, those that exist here; whether interfaces were left
    out)."""
    values: dict[str, str] = {}
    with netns.entered():
        _read(values, _SETTINGS)
        left_out = sum(_read_folder(values, folder, settings) for folder, settings in _OF_INTERFACES.items())
    return values, left_out > 0


def _read_folder(values: dict[str, str], folder: str, settings: tuple[str, ...]) -> int:
    """The settings of the interfaces; returns of how many they are left out."""
    try:
        interfaces = sorted(os.listdir(f"{_FOLDER}/{folder}"))  # noqa: PTH208 - a name may be any bytes
    except OSError:  # the kernel has no IPv6
        return 0
    chosen = [*_OF_ALL, *[name for name in interfaces if name not in _OF_ALL][:_MOST_INTERFACES]]
    for interface in chosen:
        # An interface's name may hold a dot; sysctl spells that one as a slash.
        _read(values, (f"{folder}/{interface}/{setting}" for setting in settings))
    return max(len(interfaces) - len(chosen), 0)


def _read(values: dict[str, str], names: Iterable[str]) -> None:
    for name in names:
        try:
            file = os.open(f"{_FOLDER}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            value = os.read(file, _MOST_BYTES)
        except OSError:  # its interface is gone
            continue
        finally:
            os.close(file)
        plain = plain_text(os.fsencode(name))
        values[plain.replace(".", "\0").replace("/", ".").replace("\0", "/")] = plain_text(value).strip()
