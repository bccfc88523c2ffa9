"""The command line of a node as a table, made of that of `ttrace` (`cli.py`): options, and help word for word.

Only what typer documents is asked: the options as they are declared, and the help as it prints it.

The agent has one, and `ttrace` one in a file, with the help of every command (`cli_start.py`): `python -m
ttrace.ahead.command_table` writes that anew.
"""

import inspect
import json
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from enum import Enum
from io import StringIO
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from typer import Typer
from typer.models import ArgumentInfo, OptionInfo

from .. import __version__, cli
from ..cli_options import MEBIBYTE, in_bytes
from ..kernels.kept_files import SOURCES

COMMANDS: Final = ("capture", "doctor")
FILE: Final = SOURCES / "cli_table.json"
_COLUMNS: Final = 80
"""Of the help: typer's own maximum."""
_KINDS: Final = {str: "text", int: "integer", float: "float", bool: "flag", Path: "path"}
_HELP: Final = {"name": "help", "on": ["-h", "--help"], "off": [], "kind": "flag", "many": False, "default": False}


def whole_table(app: Typer) -> str:
    """The content of `FILE`: commands of a node that `cli_agent` runs, and the help of all. `app`: that of `cli.py`."""
    table = command_table(app, "ttrace")
    del table["commands"][""]
    for command in table["commands"].values():
        del command["help"]
    table["correlate"] = _of_callback(cli.correlate)
    helps = {words: _help(app, "ttrace", words) for words in ("", *_all_commands(app))}
    for name, command in table["commands"].items():
        command["help"] = helps[name]
    return json.dumps(table | {"helps": helps}, indent=1, sort_keys=True) + "\n"


def _all_commands(app: Typer) -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield str(group.name)
        yield from (f"{group.name} {name}" for name in _all_commands(group.typer_instance))


def command_table(app: Typer, name: str) -> dict[str, Any]:
    """The table that `cli_agent.main` takes. `app`: that of `cli.py`; `name`: of the program, in its help."""
    known = {command.name or command.callback.__name__: command for command in app.registered_commands}  # type: ignore[union-attr]
    agent = Typer(**_settings(app))
    agent.registered_callback = app.registered_callback
    agent.registered_commands = [known[one] for one in COMMANDS]
    assert app.registered_callback is not None
    callbacks = {"": app.registered_callback.callback} | {one: known[one].callback for one in COMMANDS}
    return {
        "name": name,
        "version": __version__,
        "commands": {
            one: {"help": _help(agent, name, one)} | _of_callback(callback) for one, callback in callbacks.items()
        },
    }


def _settings(app: Typer) -> dict[str, Any]:
    """What the app was made with, and not left as it is by default."""
    info = app.info
    return {
        "add_completion": False, "rich_markup_mode": None, "help": info.help, "no_args_is_help": info.no_args_is_help,
        "context_settings": info.context_settings,
    }  # fmt: skip


def _help(agent: Typer, name: str, command: str) -> str:
    before = {variable: os.environ.get(variable) for variable in ("COLUMNS", "TERMINAL_WIDTH", "LANGUAGE")}
    os.environ |= {"COLUMNS": str(_COLUMNS), "LANGUAGE": "C"}
    os.environ.pop("TERMINAL_WIDTH", None)
    said = StringIO()
    try:
        with redirect_stdout(said):
            agent([*command.split(), "--help"], prog_name=name, standalone_mode=False)
    finally:
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
    return said.getvalue()


def _of_callback(callback: Callable[..., Any] | None) -> dict[str, Any]:
    """The options of a command, and the name of its argument, a list, if it has one."""
    assert callback is not None
    hints = get_type_hints(callback, include_extras=True)
    found: dict[str, Any] = {"options": []}
    for name, parameter in inspect.signature(callback).parameters.items():
        if isinstance(get_args(hints[name])[1], ArgumentInfo):
            found["argument"] = name
        else:
            found["options"].append(_option(name, hints[name], parameter.default))
    found["options"].append(_HELP)
    return found


def _option(name: str, hint: Any, default: Any) -> dict[str, Any]:  # noqa: ANN401 - annotations, any value
    annotation, info = get_args(hint)[:2]
    assert isinstance(info, OptionInfo)
    kind = next((one for one in get_args(annotation) if one is not NoneType), annotation)
    many = get_origin(kind) is list or get_origin(annotation) is list
    if many:
        kind = get_args(kind)[0] if get_args(kind) else kind
    on, off = [], []
    # In an annotation the first of them stands where typer's older form has the default value.
    declared = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str) and one[:1] == "-"]
    for written in declared:
        switched_on, _, switched_off = written.partition("/")
        on.append(switched_on)
        off += [switched_off] if switched_off else []
    choices = [one.value for one in kind] if issubclass(kind, Enum) else None
    option = {"name": name, "on": on, "off": off, "kind": "text" if choices else _KINDS[kind], "many": many}
    option |= {"default": default} | ({"choices": choices} if choices else {})
    if info.parser:
        option["kind"] = info.parser.__name__
    if info.callback is in_bytes:
        option["times"] = MEBIBYTE
    if info.min is not None or info.max is not None:
        option |= {"least": info.min, "most": info.max, "range": _range(info.min, info.max)}
    return option


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"x>={least}"
    return f"x<={most}" if least is None else f"{least}<=x<={most}"


if __name__ == "__main__":
    FILE.write_text(whole_table(cli.app))
