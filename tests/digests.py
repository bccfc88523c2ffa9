"""`python -m ttrace.tests.digests FOLDER...`: what ttrace says of many inputs, in digests to compare two versions by.

A change that is to change nothing has equal digests before and after. The inputs: what `pytest --collect-inputs FOLDER`
has kept, and folders of captures, such as `pcaps`.
"""

import argparse
import json
import sys
from contextlib import chdir
from hashlib import blake2b
from pathlib import Path

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.report import render

from .inputs import Input, inputs_of

FORMS = {"json": ("json", True), "txt": ("text", False), "all.txt": ("text", True)}
"""End of a file's name -> form, and whether with every path."""


def said_of(given: Input) -> dict[str, str]:
    """JSON, text, and text with every path; what goes wrong is said as well."""
    with chdir(given.folder):  # files are named as from there, wherever the folder is
        try:
            result = correlate_captures(given.sources, vxlan_ports=given.vxlan_ports)
            return {
                end: "".join(render(result, select(result, every_path=every_path), form))
                for end, (form, every_path) in FORMS.items()
            }
        except Exception as error:  # noqa: BLE001 - a bug, too, is compared
            return dict.fromkeys(FORMS, f"{type(error).__name__}: {error}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ttrace.tests.digests", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="with a folder for each input")
    parser.add_argument("--against", type=Path, metavar="JSON", help="what this printed before: print what differs")
    parser.add_argument("--only", default="", metavar="WORDS", help="inputs with this in their name")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the texts too, for diff -r")
    arguments = parser.parse_args()
    found = {}
    for given in (given for folder in arguments.folders for given in inputs_of(folder)):
        if arguments.only in given.name:
            said = said_of(given)
            found[given.name] = [blake2b(t.encode("utf8", "replace"), digest_size=8).hexdigest() for t in said.values()]
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                for end, text in said.items():
                    (arguments.keep / f"{given.name}.{end}").write_text(text, "utf8", "replace")
    if arguments.against is None:
        print(json.dumps(found, indent=0))
        return 0
    before = json.loads(arguments.against.read_text())
    differ = [name for name in found if name in before and found[name] != before[name]]
    compared = len(found.keys() & before.keys())
    print(*differ, f"{compared} compared, {len(differ)} differ, {len(found) - compared} new", sep="\n")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
