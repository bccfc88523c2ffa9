"""The tables of iptables-legacy: whether there are any, and their text, without changing or creating one."""

import os
from pathlib import Path

from ..machine.netns import Netns
from ..machine.programs import run_program

_FAMILIES = {"ip": ("ip_tables_names", "iptables-legacy-save"), "ip6": ("ip6_tables_names", "ip6tables-legacy-save")}
_SAVE_TIMEOUT_S = 4


def legacy_tables(family: str) -> list[str]:
    """Names of the legacy tables loaded in the thread's namespace, for `ip` or `ip6`."""
    try:
        return Path("/proc/thread-self/net", _FAMILIES[family][0]).read_text().split()
    except OSError:
        return []


def are_legacy_tables_hidden() -> bool:
    """Whether only root may see which legacy tables there are in the thread's namespace."""
    names = Path("/proc/thread-self/net", _FAMILIES["ip"][0])
    return names.exists() and not os.access(names, os.R_OK, effective_ids=True)


def has_legacy_tables(netns: Netns) -> bool:
    """Whether legacy iptables is in use in `netns`."""
    with netns.entered():
        return any(legacy_tables(family) for family in _FAMILIES)


def save_legacy(family: str) -> str | None:
    """`iptables-legacy-save -c` of the tables that exist in the thread's namespace; None if there are none."""
    program = _FAMILIES[family][1]
    # Without -t it would load every table, and from then on they would be in every packet's way.
    texts = [run_save([program, "-c", "-t", table]) for table in legacy_tables(family)]
    return "".join(text for text in texts if text is not None) or None


def run_save(command: list[str]) -> str | None:
    """Output of an iptables-save command run in the thread's namespace; None where it is not installed or refuses.

    Raises TtraceError when it does not end.
    """
    done = run_program(command, timeout_s=_SAVE_TIMEOUT_S)
    return done.stdout.decode(errors="replace") if done is not None and done.returncode == 0 else None
