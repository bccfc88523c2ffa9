"""A first expected.json: what a reader looks for, without times, lengths and frame numbers.

What the case is not about is to be taken out by hand.
"""

import json
from typing import Any

WIDTH = 118


def draft(document: dict[str, Any]) -> dict[str, Any]:
    """The part of the JSON that tells what became of each packet."""
    several = len(document["captures"]) > 1
    found: dict[str, Any] = {}
    if any(capture["nothing_in_common"] for capture in document["captures"]):
        found["captures"] = [_only(c, "file", "shared_packets", "nothing_in_common") for c in document["captures"]]
    found["connections"] = [_only(c, "protocol", "client", "server", "outcome") for c in document["connections"]]
    found["paths"] = [_path(path, several) for path in document["paths"]]
    return found


def _path(path: dict[str, Any], several: bool) -> dict[str, Any]:
    found = _only(path, "connection", "protocol", "info", "direction", "outcome")
    reason = path["reason"]
    found["reason"] = reason and _only(reason, "kind", "text") | _rule(reason)
    found |= {name: path[name] for name in ("ambiguous", "rivals", "goes_on_as", "comes_from") if path[name]}
    found |= {"confidence": path["confidence"]} if path["confidence"] != 1 else {}
    found["hops"] = [_hop(hop, several) for hop in path["hops"]]
    found["rewrites"] = [
        _only(rewrite, *(["node"] if several else []), "field", "from", "to", "kind", "undo", "evidence")
        | _rule(rewrite)
        for rewrite in path["rewrites"]
    ]
    return found


def _hop(hop: dict[str, Any], several: bool) -> dict[str, Any]:
    where = [*(["node"] if several else []), *(["netns"] if hop["netns"] != "root" else [])]
    if hop["kind"] == "interface":
        return _only(hop, *where, "interface", "direction")
    return _only(hop, *where, "table", "chain", "verdict")


def _rule(has: dict[str, Any]) -> dict[str, Any]:
    return {"rule": has["rule"] and _only(has["rule"], "text")}


def _only(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def laid_out(value: Any, indent: int = 1, used: int = 1) -> str:
    """JSON text in few lines: what fits on one stands on one, short values of an object beside each other. `indent`:
    of the lines that follow; `used`: characters of this one."""
    line = json.dumps(value, ensure_ascii=False)
    if used + len(line) <= WIDTH or not isinstance(value, dict | list):
        return line
    if isinstance(value, list):
        parts = [laid_out(part, indent + 1, indent) for part in value]
        return "[\n" + ",\n".join(" " * indent + part for part in parts) + "\n" + " " * (indent - 1) + "]"
    lines: list[str] = []
    for name, part in value.items():
        entry = f"{json.dumps(name)}: "
        entry += laid_out(part, indent + 1, indent + len(entry))
        beside = lines and not (isinstance(part, dict | list) and part) and "\n" not in entry
        if beside and indent + len(lines[-1]) + len(entry) + 2 <= WIDTH:
            lines[-1] += f", {entry}"
        else:
            lines.append(entry)
    return "{" + f",\n{' ' * indent}".join(lines) + "}"
