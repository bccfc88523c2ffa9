"""Recording a scene: `ttrace capture` on both nodes while it plays."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import TtraceError
from .base import Lab
from .docker import DockerLab
from .scenes import SCENES, Scene, versions

READY = "capturing"
"""`ttrace capture` says a line with this word on stderr when every capture point is open."""


def ttrace_command(*arguments: str) -> list[str]:
    """The command line of this very ttrace, for another process."""
    return [sys.executable, "-c", "from ttrace.cli import main; main()", *arguments]


@contextmanager
def recording(lab: Lab, directory: Path, *options: str) -> Iterator[dict[str, Path]]:
    """Capture on both nodes, containers included, while the block runs; yields node name to file.

    `options` are further options of `ttrace capture`. Raises TtraceError when a capture fails, with what it said.
    """
    files = {node: directory / f"{node}.pcapng" for node in lab.nodes}
    captures: list[subprocess.Popen[str]] = []
    try:
        for node, file in files.items():
            captures.append(_start_capture(lab, node, file, options))
        for capture in captures:
            _wait_until_ready(capture)
        yield files
    finally:
        for capture in captures:
            capture.send_signal(signal.SIGINT)
        said = [capture.communicate()[1] for capture in captures]
    for capture, words in zip(captures, said, strict=True):
        if capture.returncode != 0:
            raise TtraceError(f"a capture in the lab failed: {words.strip()}")


def _start_capture(lab: Lab, node: str, file: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    arguments = ["capture", "--node-name", node, "-w", str(file), "--trace-limit", "0", *options]
    if lab.kind == "docker":
        arguments.append("--containers")
    else:
        for container in lab.containers.values():
            if container.node == node:
                arguments += ["--netns", Path(container.netns_path).name]
    return lab.popen(node, ttrace_command(*arguments), stdout=subprocess.DEVNULL)


def _wait_until_ready(capture: subprocess.Popen[str]) -> None:
    said = []
    assert capture.stderr is not None
    for line in capture.stderr:
        if READY in line:
            return
        said.append(line)
    raise TtraceError(f"a capture in the lab did not start: {''.join(said).strip()}")


def record_scene(lab: Lab, scene: Scene, directory: Path, *options: str) -> list[Path]:
    """Play and record one scene; the files of both nodes, in `directory`. `options` are further ones of
    `ttrace capture`."""
    directory.mkdir(parents=True, exist_ok=True)
    with recording(lab, directory, *options) as files:
        scene.act(lab)
    return list(files.values())


def record_all(directory: Path, *, prefix: str = "ttrec") -> None:
    """Record every scene anew, each into a folder of its own with a README that says what is true of it."""
    with DockerLab(prefix) as lab:
        made_with = versions(lab)
        for scene in SCENES.values():
            folder = directory / f"docker-{scene.name}"
            record_scene(lab, scene, folder, "--force")
            (folder / "README.md").write_text(_description(scene, made_with), encoding="utf-8")


def _description(scene: Scene, made_with: str) -> str:
    truth = "\n".join(f"- {sentence}" for sentence in scene.truth)
    return f"""# {scene.title}

`master.pcapng` and `slave.pcapng`: `ttrace capture --containers --trace-limit 0` on both nodes of the Docker lab
(`lab/`), scene `{scene.name}` of `lab/scenes.py`. Recorded with {made_with}. `make recordings` records it again.

What is true of it:

{truth}
"""


if __name__ == "__main__":
    record_all(Path(sys.argv[1] if len(sys.argv) > 1 else "pcaps"))
