"""What is imported with the package."""

import os
import subprocess
import sys


def test_no_heavy_import_with_the_package():
    heavy = "{'numpy', 'numba', 'pandas', 'scapy', 'pyroute2'}"
    script = f"import sys, ttrace.capture; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
