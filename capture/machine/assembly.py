"""A BPF program that is put together piece by piece, with jumps to places that have names."""

from .ebpf import ADD_IMMEDIATE, CALL, JUMP, MOVE, MOVE_IMMEDIATE, R0, instruction


class Assembly:
    """Instructions in their order."""

    def __init__(self) -> None:
        self._code: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, int, int, int, int, str]] = []

    def add(self, code: int, *, to: int = R0, source: int = R0, offset: int = 0, value: int = 0) -> None:
        """One instruction: see `instruction`."""
        self._code.append(instruction(code, to=to, source=source, offset=offset, value=value))

    def extend(self, instructions: list[bytes]) -> None:
        """Several that are ready."""
        self._code += instructions

    def move(self, to: int, source: int, add: int = 0) -> None:
        """A register, and so much more, into another."""
        self.add(MOVE, to=to, source=source)
        if add:
            self.add(ADD_IMMEDIATE, to=to, value=add)

    def set(self, to: int, value: int) -> None:
        """A number into a register."""
        self.add(MOVE_IMMEDIATE, to=to, value=value)

    def call(self, function: int) -> None:
        """Call a function of the kernel (FUNC_…)."""
        self.add(CALL, value=function)

    def label(self, name: str) -> None:
        """The next instruction has this name."""
        self._labels[name] = len(self._code)

    def jump(self, name: str, code: int = JUMP, *, to: int = R0, source: int = R0, value: int = 0) -> None:
        """A jump to a name, which may come later."""
        self._jumps.append((len(self._code), code, to, source, value, name))
        self._code.append(b"")

    def program(self) -> list[bytes]:
        """All instructions. Raises KeyError for a name that is nowhere."""
        for at, code, to, source, value, name in self._jumps:
            offset = self._labels[name] - at - 1
            self._code[at] = instruction(code, to=to, source=source, offset=offset, value=value)
        return self._code
