"""Does a value hold what is expected of it, in order? What is not named may be anything."""

import json
from typing import Any

ANY_MORE = "..."
"""An element of an expected list: any number of others stand there."""


def difference(expected: Any, found: Any, where: str = "it") -> str | None:
    """The first difference in one line, None where there is none.

    An object must have the keys that are named, with what is expected of each. A list must have the elements that are
    expected, in order and no others, but for `...` in it. All else must be equal.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                return f"{where} has no `{key}`"
            if told := difference(value, found[key], f"{where}.{key}"):
                return told
        return None
    if isinstance(expected, list) and isinstance(found, list):
        return _list_difference(expected, found, where)
    if isinstance(expected, bool) == isinstance(found, bool) and expected == found:
        return None
    return f"{where} is {json.dumps(found)}, not {json.dumps(expected)}"


def _list_difference(expected: list[Any], found: list[Any], where: str) -> str | None:
    fixed = expected.index(ANY_MORE) if ANY_MORE in expected else len(expected)
    open_ended = fixed < len(expected)
    if len(found) < fixed or (len(found) > fixed and not open_ended):
        return f"{where} has {len(found)} elements, not {fixed}{' or more' if open_ended else ''}"
    for number in range(fixed):
        if told := difference(expected[number], found[number], f"{where}[{number}]"):
            return told
    behind = expected[fixed + 1 :]
    if not open_ended or any(difference(behind, found[start:]) is None for start in range(fixed, len(found) + 1)):
        return None
    return f"{where} has nothing from [{fixed}] on that fits {json.dumps(behind)[1:-1]}"
