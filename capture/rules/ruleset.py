"""The ruleset of one namespace as text and JSON, with the proof that all of it is of the same moment."""

import json
import re

from ..machine.netns import Netns
from ..sockets.requests import ruleset_generation
from .legacy import legacy_tables, run_save, save_legacy
from .tracing_table import ask_nft, load_nftables

_ATTEMPTS = 3
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9/\\_.-]*")
"""What nft takes as a name (its scanner.l); the kernel takes any bytes."""
_FAMILIES = ("ip", "ip6")
_SAVE_COMMANDS = {"ip": "iptables-save", "ip6": "ip6tables-save"}
_NFT_SAVE_COMMANDS = {"ip": "iptables-nft-save", "ip6": "ip6tables-nft-save"}


def read_ruleset(netns: Netns) -> dict[str, object]:
    """The `ruleset` snapshot of docs/file-format.md. Retries while the ruleset changes under it. Raises TtraceError."""
    with netns.entered():
        for attempt in range(_ATTEMPTS):
            before = _generation()
            rules = _read_once()
            consistent = before == _generation()
            if consistent or attempt + 1 == _ATTEMPTS:
                return {"generation": before, **rules, "consistent": consistent}
    raise AssertionError("unreachable")


def _generation() -> int | None:
    try:
        return ruleset_generation()
    except OSError:
        return None


def _read_once() -> dict[str, object]:
    context = load_nftables()
    context.set_handle_output(True)
    context.set_numeric_prio_output(True)
    _, text, _, is_utf8 = ask_nft(context, "list ruleset")
    return {
        "nft": text,
        "json": _read_json(text) if is_utf8 else None,
        "iptables": {family: _save_iptables(family, text) for family in _FAMILIES},
        "legacy": {family: save_legacy(family) for family in _FAMILIES},
    }


def _read_json(text: str) -> dict[str, object] | None:
    """nft's JSON of the tables in `text`, all but those with an owner; None if it is no JSON.

    `text` has to be UTF-8: libnftables ends the process when a name or comment in it is not.
    libnftables 1.0.6 knows no name for the flag `owner` in JSON and prints whatever lies in memory there (`"flags":
    "Lester Gooch #5"` was seen, and a crash): so tables are asked for one by one, and ours is left out.
    """
    context = load_nftables()
    context.set_handle_output(True)
    context.set_numeric_prio_output(True)
    context.set_json_output(True)
    objects: list[object] = []
    for family, name in tables_without_owner(text):
        if not _PLAIN_NAME.fullmatch(name):  # it may be of a container, and more than a name to nft
            return None
        _, structure, _, _ = ask_nft(context, f"list table {family} {name}")
        try:
            # The first object of each answer is the version of nft.
            listed = json.loads(structure)["nftables"]
        except ValueError:
            return None
        objects += listed[1:] if objects else listed
    return {"nftables": objects}


def tables_without_owner(text: str) -> list[tuple[str, str]]:
    """Family and name of the tables in nft's text that no process owns."""
    tables: list[tuple[str, str]] = []
    for line in text.splitlines():
        words = line.split()
        if line.startswith("table ") and len(words) >= 3:
            tables.append((words[1], words[2]))
        elif tables and words[:1] == ["flags"] and line.startswith("\tflags") and "owner" in line:
            tables.pop()
    return tables


def _save_iptables(family: str, nft_text: str) -> str | None:
    """`iptables-save -c` where iptables-nft has tables; else None, as asking would make nothing clearer."""
    if not any(line.startswith(f"table {family} ") for line in nft_text.splitlines()):
        return None
    # `iptables-save` may be the legacy program, which creates the tables it lists: prefer the one that is surely nft's.
    for command in (_NFT_SAVE_COMMANDS[family], _SAVE_COMMANDS[family]):
        if command == _SAVE_COMMANDS[family] and not legacy_tables(family) and _is_legacy(command):
            return None
        text = run_save([command, "-c"])
        if text is not None:
            return text
    return None


def _is_legacy(command: str) -> bool:
    """Whether `iptables-save` is the legacy one (`iptables-save v1.8.9 (legacy)`)."""
    version = run_save([command, "-V"])
    return version is None or "nf_tables" not in version
