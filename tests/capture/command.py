"""The command line, run as people run it."""

import os
import shutil
import subprocess
import sys

COMMAND = [sys.executable, "-c", "from ttrace.cli_start import main; main()"]
IP = shutil.which("ip") or "ip"
"""By its path: what a test puts first in PATH is for ttrace alone."""


def run_ttrace(
    *arguments: str, namespace: str, timeout_s: float = 60, **environment: str
) -> subprocess.CompletedProcess:
    """Run `ttrace` in a namespace to its end; `environment` is added to ours."""
    # The module search path of this process, so that the child finds the same ttrace.
    whole = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [IP, "netns", "exec", namespace, *COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=whole, timeout=timeout_s, check=False)
