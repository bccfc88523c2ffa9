"""The privileges a capture needs, asked for before anything is opened."""

from pathlib import Path

from ...errors import TtraceError

# linux/capability.h: rules and netlink, packet sockets, entering namespaces.
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}


def missing_capabilities() -> list[str]:
    """Names of the capabilities this thread lacks for a capture."""
    status = Path("/proc/thread-self/status").read_text()
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]


def check_rights() -> None:
    """Raise TtraceError if this thread can't capture."""
    missing = missing_capabilities()
    if missing:
        raise TtraceError(f"capturing needs root (no {', '.join(missing)} here)", hint="run it with `sudo`")
