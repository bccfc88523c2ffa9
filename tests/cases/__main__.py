"""`python -m ttrace.tests.cases NAME`: what ttrace says of a case, and for a new one a first expectation."""

import argparse
import json
import sys

from ttrace.correlate import correlate_captures

from .case import JSON, TEXT, TEXT_OF_ALL, Case, all_cases, document, text
from .draft import draft, laid_out
from .partial import difference


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ttrace.tests.cases", description=__doc__)
    parser.add_argument("name", choices=[case.name for case in all_cases()], metavar="NAME")
    parser.add_argument("--format", choices=("json", "brief", "text", "all"), default="text", help="`brief`: a draft")
    arguments = parser.parse_args()
    case = Case(arguments.name)
    with case.sources() as sources:
        result = correlate_captures(sources)
    found = document(result)
    shown = {
        "json": lambda: laid_out(found) + "\n",
        "brief": lambda: laid_out(draft(found)) + "\n",
        "text": lambda: text(result),
        "all": lambda: text(result, every_path=True),
    }
    sys.stdout.write(shown[arguments.format]())
    expected = case.folder / JSON
    if not any((case.folder / name).exists() for name in (JSON, TEXT, TEXT_OF_ALL)):
        expected.write_text(laid_out(draft(found)) + "\n")
        print(f"drafted {expected}: keep what the case is about", file=sys.stderr)
    elif expected.exists() and (told := difference(json.loads(expected.read_text()), found)):
        print(f"not as expected: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
