"""The results as text, and as docs/performance.md."""

from .measuring import median_and_spread

COLUMNS = ("what", "who", "median (least to most)", "in relation to the one with 1", "goal", "also")

HEAD = """# Performance

Made by `python -m bench --write docs/performance.md`, as root. `make bench` measures the same and prints it.
Where the time goes, and what remains to the goals, is in [speed.md](speed.md).

## What to know first

- The numbers are one run on one machine; another gives others. The ratios are more to be trusted than the times: each
  is of two tools of one round, which ran one after the other (A B C, A B C, ...), and the spread is that of all rounds.
"""


def _cells(row):
    """The lines of one row, one for each tool."""
    for tool, values in row.samples.items():
        ratios = row.ratios(tool)
        goals = [row.goals[tool].words(row, tool)] if tool in row.goals else []
        goals += [row.verdicts[tool]] if tool in row.verdicts else []
        beside = "" if ratios is None else "1" if tool == row.reference else median_and_spread(ratios)
        yield row.what, tool, median_and_spread(values, row.unit), beside, "; ".join(goals), row.notes.get(tool, "")
    for tool, reason in row.absent.items():
        yield row.what, tool, reason, "", "", ""


def lines(row):
    """One row as text for a terminal."""
    yield f"{row.what}   (in relation to: {row.reference})"
    for _, tool, value, beside, goal, also in _cells(row):
        yield f"  {tool:<32} {value:<44} {beside:<26} {goal}".rstrip()
        if also:
            yield f"  {'':<32} {also}"


def document(machine, sections):
    """docs/performance.md; `sections`: (title, notes, rows)."""
    text = [HEAD.rstrip(), *(f"- {line}." for line in machine.lines()), ""]
    for title, notes, rows in sections:
        text += [f"## {title}", "", notes]
        text += ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
        for row in rows:
            for number, (what, tool, value, beside, goal, also) in enumerate(_cells(row)):
                cells = [what if number == 0 else "", tool, value, beside, goal, also]
                text.append("| " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text)
