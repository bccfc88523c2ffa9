"""One path as text: its nodes, hops, rules and rewrites in order."""

import textwrap
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from ...correlate.netfilter.evaluations import OWN_TABLE
from ...correlate.netfilter.rules import Rule
from ...correlate.result.reasons import RULE_CHANGED
from ...correlate.result.values import ChainHop, Hop, InterfaceHop, KernelHop, Path, RewriteStep, RuleMatch
from .layout import WIDTH, first_of
from .units import duration, plural
from .words import failure, outcome_words, within

_LABEL: Final = 22
"""Width of the first column: interface and container, or hook."""
_MOST_OTHERS: Final = 6


def path_text(path: Path, note: str = "") -> str:
    """The path as lines; `note` goes to the end of the headline."""
    lines = [headline(path, note)]
    shown: tuple[str, str] | None = None
    node = None
    ttl: int | None = None
    start_ns = path.start_ns
    for index, hop, chains in _steps(path.hops):
        if hop.node != node:
            lines.append(f"  {hop.node}")
            node = hop.node
        if isinstance(hop, InterfaceHop):
            lines.append(_interface_line(hop, start_ns, shown, ttl))
            shown, ttl = (hop.source, hop.destination), hop.ttl
        elif isinstance(hop, KernelHop):
            lines += _named_lines(hop.kind, [hop.says])
        else:
            lines += _chain_lines(chains)
        last = index + max(len(chains) - 1, 0)
        for rewrite in path.rewrites:
            if index <= rewrite.after_hop <= last:
                lines += _rewrite_lines(rewrite, {m.rule for h in chains for m in h.rules if m.rule})
    reason = failure(path)
    if reason is not None:
        lines += textwrap.wrap(
            f"{path.outcome}: {reason.text}", WIDTH, initial_indent="  => ", subsequent_indent="     "
        )
    lines += _cut_lines(path) + _shift_lines(path)
    return "\n".join(lines) + "\n"


def _cut_lines(path: Path) -> list[str]:
    """What its bytes were before and behind its hops, where they were cut differently."""
    lines = []
    for what, others in (("carries bytes of", path.comes_from), ("its bytes go on as", path.goes_on_as)):
        if others:
            named = first_of([f"#{other}" for other in others], _MOST_OTHERS)
            lines.append(f"  => {what} {named}: cut differently (GSO, GRO)")
    return lines


def _shift_lines(path: Path) -> list[str]:
    """That something on the way gave its segment other numbers."""
    lines = ["  => a helper on the way rewrote its payload"] if path.payload_rewritten else []
    shift = path.sequence_shift
    if shift is None:
        return lines
    parts = [f"{name} {by:+,}" for name, by in (("sequence", shift.sequence), ("acknowledgment", shift.acknowledgment))]
    return [*lines, f"  => sequence numbers shifted on the way: {', '.join(parts)}"]


def headline(path: Path, note: str) -> str:
    """What it is, what became of it, and when, in one line."""
    first = path.hops[0]
    parts = [f"#{path.id} {path.protocol} {path.info}   {first.source} -> {first.destination}"]
    took = f" in {duration(path.duration_ns)}" if path.duration_ns is not None else ""
    parts.append(outcome_words(path) + (took if path.outcome == "delivered" else ""))
    parts.append(plural(len(path.rewrites), "rewrite") if path.rewrites else "no rewrites")
    parts.append(f"at {datetime.fromtimestamp(path.start_ns / 1e9, UTC):%H:%M:%S.%f} UTC")
    if path.ambiguous:
        others = f" with {', '.join(f'#{rival}' for rival in path.rivals)}" if path.rivals else ""
        parts.append(f"AMBIGUOUS{others}, confidence {path.confidence:.2f}")
    if note:
        parts.append(f"({note})")
    return "   ".join(parts)


def _steps(hops: tuple[Hop, ...]) -> list[tuple[int, Hop, list[ChainHop]]]:
    """(index of the first hop, that hop, all its chain hops): consecutive chains of one hook are one step."""
    steps: list[tuple[int, Hop, list[ChainHop]]] = []
    index = 0
    for key, group in groupby(hops, lambda h: (h.node, h.netns, h.hook) if isinstance(h, ChainHop) else id(h)):
        found = list(group)
        chains = [h for h in found if isinstance(h, ChainHop)] if isinstance(key, tuple) else []
        steps.append((index, found[0], chains))
        index += len(found)
    return steps


def _interface_line(hop: InterfaceHop, start_ns: int, shown: tuple[str, str] | None, ttl: int | None) -> str:
    label = f"{hop.interface}{within(hop.netns, hop.container)}"
    offset = ("+" if hop.time_ns >= start_ns else "") + duration(hop.time_ns - start_ns)
    direction = hop.direction if hop.direction != "unknown" else "?"
    line = f"    {label:<{_LABEL}}{direction:<4}{offset:>10}"
    if (hop.source, hop.destination) != shown or hop.ttl != ttl:
        line += f"    {hop.source} -> {hop.destination}"
        line += f"   ttl {hop.ttl}" if hop.ttl else ""
    if hop.encapsulation is not None:
        line += f"    in {hop.encapsulation}"
    return line if hop.order_known else line + "    (before or behind the line above: not known)"


def _chain_lines(chains: list[ChainHop]) -> list[str]:
    """All chains of one hook: those that only let the packet pass by policy on one line, the others with their
    rules."""
    label = chains[0].hook.upper() if chains[0].chain.upper() == chains[0].hook.upper() else chains[0].hook
    label += within(chains[0].netns)
    return _named_lines(label, [_chain_text(chain) for chain in chains])


def _named_lines(label: str, texts: list[str]) -> list[str]:
    """What a place did with the packet, each text on lines of its own behind the label."""
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(text, WIDTH - _LABEL - 4, subsequent_indent="  ", break_on_hyphens=False)
    indented = [" " * (4 + _LABEL) + line for line in lines]
    indented[0] = f"    {label:<{_LABEL}}{lines[0]}"
    return indented


def _chain_text(chain: ChainHop) -> str:
    name = chain.table if chain.chain.upper() == chain.hook.upper() else f"{chain.table} {chain.chain}"
    if (chain.family, chain.table) == OWN_TABLE:
        return f"seen by ttrace's own chain {chain.chain}"
    if chain.family in ("inet", "bridge", "netdev"):
        name = f"{chain.family} {name}"
    words = [_match_text(match, chain, last=i == len(chain.rules) - 1) for i, match in enumerate(chain.rules)]
    if chain.by_policy:
        words.append(f"policy {chain.verdict.upper()}")
    elif chain.verdict == "unknown":
        words.append("the trace ends here")
    return f"{name}: " + "; ".join(words)


def _match_text(match: RuleMatch, chain: ChainHop, *, last: bool) -> str:
    """A rule on the way in short; the one that decided in full."""
    where = "" if match.chain == chain.chain else f"{match.chain} "
    number = _number(match)
    if match.changed:
        number += f" ({RULE_CHANGED})"
    elif not match.text:
        number += ", in no snapshot"
    decided = last and match.verdict in ("accept", "drop", "queue", "stolen")
    if decided or match.verdict in ("continue", "unknown"):
        return f"{where}{number}  {rule_words(match.text)}"
    return f"{where}{number} {match.verdict if ' ' in match.verdict else match.verdict.upper()}"


def rule_words(text: str) -> str:
    """The rule without the `-A CHAIN` that the line already says."""
    return text.split(" ", 2)[2] if text.startswith("-A ") and text.count(" ") >= 2 else text


def _rewrite_lines(rewrite: RewriteStep, just_shown: set[Rule]) -> list[str]:
    label = f"  {rewrite.field}"
    text = f"{rewrite.old} => {rewrite.new}"
    what = rewrite.kind.upper() if rewrite.kind != "unknown" else "unknown translation"
    cause = f"undoes {what}" if rewrite.undo else what
    if rewrite.evidence == "inferred":
        cause += ", inferred"
    lines = [f"    {label:<{_LABEL}}{text}   {cause}"]
    rule = rewrite.rule
    if rule is not None and rule not in just_shown:
        lines.append(f"    {'':<{_LABEL}}  by {rule.table} {rule.chain} {_number(rule)}  {rule_words(rule.text)}")
    elif rewrite.rule_changed:
        lines.append(f"    {'':<{_LABEL}}  {RULE_CHANGED}")
    return lines


def _number(rule: Rule | RuleMatch) -> str:
    return f"rule {rule.number}" if rule.number else f"rule with handle {rule.handle}"
