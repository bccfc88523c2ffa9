"""The other side of flood.py: the process that sends."""

import json
import subprocess
import sys
from pathlib import Path

from .measuring import Process


class Flood:
    """A flood.py that is ready and waits for its start; a context manager.

    `before` are the words before its command (namespace, CPUs); the others are its arguments.
    """

    def __init__(self, before, kind, packets, rate, places):
        program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("flood.py"))]
        self._process = Process(
            [*before, *program, kind, str(packets), str(rate), *places], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self):
        self._process.stdout.readline()
        return self

    def __exit__(self, *_):
        self._process.kill()

    def start(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self):
        """Wait until all is sent; the seconds it took."""
        said = json.loads(self._process.stdout.readline())
        self._process.finish()
        return said["seconds"]
