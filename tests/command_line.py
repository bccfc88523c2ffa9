"""The command line in this process, where nothing of a process of its own matters: a hundred times as fast."""

import io
import os
import subprocess
import sys

import pytest

from ttrace import cli, cli_correlate


class _Kept(io.StringIO):
    """What was written, also after it was closed."""

    def close(self) -> None:
        pass


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str | bytes) -> subprocess.CompletedProcess:
    """Run ttrace with these arguments."""
    out, err = _Kept(), _Kept()
    with monkeypatch.context() as patched:
        for module in (cli, cli_correlate):
            patched.setattr(module, "end_tidily", lambda: None)
        patched.setattr(sys, "argv", ["ttrace", *map(os.fsdecode, arguments)])
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return subprocess.CompletedProcess(arguments, ended.value.code, out.getvalue().encode(), err.getvalue().encode())
