"""The privileges a capture needs, asked for before anything is opened."""

from typing import Final

from ...errors import TtraceError
from .privileges import CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, held_capabilities

_CAPABILITIES: Final = {"CAP_NET_ADMIN": CAP_NET_ADMIN, "CAP_NET_RAW": CAP_NET_RAW, "CAP_SYS_ADMIN": CAP_SYS_ADMIN}
"""Rules and netlink, packet sockets, entering namespaces."""
OTHER_NAMESPACES: Final = "CAP_SYS_ADMIN"
"""What only entering other namespaces needs."""
WITHOUT_ROOT: Final = (
    "for this namespace alone two rights are enough: `sudo setpriv --reuid=$USER --regid=$(id -g) --init-groups "
    "--inh-caps=+net_admin,+net_raw --ambient-caps=+net_admin,+net_raw $(command -v ttrace) capture`, "
    "or `AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in a systemd unit"
)
"""How to capture without being root. Never file capabilities on python3: every script would have them."""


def missing_capabilities() -> list[str]:
    """Names of the capabilities this thread lacks for a capture."""
    held = held_capabilities()
    return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]


def check_rights(*, other_namespaces: bool) -> None:
    """Raise TtraceError if this thread can't capture, in other namespaces where it is to."""
    missing = missing_capabilities()
    if missing == [OTHER_NAMESPACES]:
        if other_namespaces:
            raise TtraceError(
                f"capturing in other namespaces needs root (no {OTHER_NAMESPACES} here)",
                hint="run it with `sudo`, or without `--netns` and `--containers`",
            )
        return
    if missing:
        raise TtraceError(f"capturing needs root (no {', '.join(missing)} here)", hint="run it with `sudo`")
