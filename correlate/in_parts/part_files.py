"""The files of a part: what the first round finds and no later one changes is written once, and the others refer to it.

What is referred to is known by its identity: whoever holds the very object that was read from the file of what stays
writes the name of it.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import no_room
from .work_folder import load, save


@dataclass(slots=True)
class Staying:
    """What stays of a part."""

    path: str
    """Of its file."""
    values: dict[str, Any]

    def without(self, *names: str) -> "Staying":
        """But for what has been changed in place: that is written anew."""
        return Staying(self.path, {name: value for name, value in self.values.items() if name not in names})


def keep(path: str, values: dict[str, Any]) -> Staying:
    """Write what stays. Raises TtraceError when the disk is full."""
    save(path, values)
    return Staying(path, values)


def save_beside(path: str, value: object, staying: Staying) -> None:
    """Write what was made of a part, without what stays. Raises TtraceError when the disk is full."""
    try:
        with Path(path).open("wb") as file:
            _Writer(file, staying).dump(value)
    except OSError as error:
        raise no_room(error) from error


def load_beside(path: str) -> tuple[Any, Staying]:
    """What `save_beside` wrote, and what it refers to."""
    with Path(path).open("rb") as file:
        reader = _Reader(file)
        return reader.load(), reader.staying


class _Writer(pickle.Pickler):
    def __init__(self, file: IO[bytes], staying: Staying) -> None:
        super().__init__(file, protocol=5)
        self._path = staying.path
        self._names = {id(value): name for name, value in staying.values.items()}

    def persistent_id(self, value: object) -> tuple[str, str] | None:
        name = self._names.get(id(value))
        return None if name is None else (self._path, name)


class _Reader(pickle.Unpickler):
    staying = Staying("", {})

    def persistent_load(self, reference: tuple[str, str]) -> Any:  # noqa: ANN401 - whatever was kept
        path, name = reference
        if self.staying.path != path:
            self.staying = Staying(path, load(path))
        return self.staying.values[name]
