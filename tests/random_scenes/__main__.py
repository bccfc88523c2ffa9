"""`python -m ttrace.tests.random_scenes SEED [--to FOLDER]`: write one scene's files and its truth."""

import argparse
import json
from pathlib import Path

from .scene import make_scene
from .truth import truth_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ttrace.tests.random_scenes", description=__doc__)
    parser.add_argument("seed", type=int, help="one number gives one scene, always the same")
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where the files go")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    scene = make_scene(arguments.seed, arguments.to)
    (arguments.to / "truth.json").write_text(json.dumps(truth_of(scene), indent=1))
    for source in scene.written.sources:
        print(specification(source, arguments.to))


def specification(source: tuple[str | None, str | None, str], folder: Path) -> str:
    """A file as the command line of ttrace names it."""
    node, interface, name = source
    return f"{folder / name}" if node is None else f"{node}/{interface}={folder / name}"


if __name__ == "__main__":
    main()
