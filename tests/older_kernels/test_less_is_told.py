"""Every attribute, message and snapshot is optional: without it less may be told, but nothing that was not true."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import InterfaceHop
from ttrace.correlate.result.values import Path as PacketPath
from ttrace.tests.correlate.scene import paths

from .thinned import Keep, thin, without_attributes, without_fields, without_messages, without_snapshots

PCAPS = Path(__file__).parents[2] / "pcaps"
TRACE, CONNTRACK, CONNTRACK_GONE, GENERATION = 0x0A11, 0x0100, 0x0102, 0x0A0F
RULESET_CHANGES = (*range(0x0A00, 0x0A11), *range(0x0A12, 0x0A1D))

OF_A_KERNEL: Mapping[str, Keep] = {
    # linux/netfilter/nf_tables.h: NFTA_TRACE_CT_ID, _DIRECTION, _STATUS, _STATE
    "the conntrack entry of a traced packet (Linux before 6.16)": without_attributes({TRACE: {18, 19, 20, 21}}),
    "the rules as nft's JSON (built without it)": without_fields("ruleset", "json"),
    "the rules as iptables-save has them (not installed)": without_fields("ruleset", "iptables", "legacy"),
    "messages about changes of rules": without_messages(*RULESET_CHANGES),
}
"""What is told then is all the same but for what only this says."""
SNAPSHOTS = (
    "capture", "node", "containers", "links", "addresses", "routes", "neighbours", "ruleset", "sysctls",
)  # fmt: skip


class Told(NamedTuple):
    """What a correlation says, in words that do not depend on what else is in the files."""

    together: frozenset[frozenset]
    """Frames of each path: (node, how many captured packets of its file are before it)."""
    rewrites: frozenset
    """(frames of the path, field, before, after)."""
    rules: frozenset
    """The same with the text of the rule, where one is named."""
    outcomes: Mapping[frozenset, str]


def told(files: list[str]) -> Told:
    found = paths(correlate_captures(files))
    numbers: dict[str, list[int]] = {}
    for path in found:
        for hop in path.hops:
            if isinstance(hop, InterfaceHop):
                numbers.setdefault(hop.file, []).append(hop.frame)
    rank = {(file, frame): n for file, all_ in numbers.items() for n, frame in enumerate(sorted(all_))}
    frames = {path.id: _frames(path, rank) for path in found}
    changes = [(frames[path.id], step) for path in found for step in path.rewrites]
    return Told(
        frozenset(frames.values()),
        frozenset((who, step.field, step.old, step.new) for who, step in changes),
        frozenset((who, step.field, step.rule.text) for who, step in changes if step.rule),
        {frames[path.id]: path.outcome for path in found},
    )


def _frames(path: PacketPath, rank) -> frozenset:
    return frozenset(
        (Path(hop.file).name, rank[hop.file, hop.frame]) for hop in path.hops if isinstance(hop, InterfaceHop)
    )


@pytest.fixture(scope="module", params=["docker-demo", "docker-dropped", "docker-udp"])
def recording(request):
    """(a recording, all that is told of it)."""
    folder = PCAPS / request.param
    return folder, told([str(folder / "master.pcapng"), str(folder / "slave.pcapng")])


def thinned(folder: Path, tmp_path: Path, keep: Keep) -> Told:
    files = []
    for name in ("master", "slave"):
        files.append(str(tmp_path / f"{name}.pcapng"))
        thin(folder / f"{name}.pcapng", Path(files[-1]), keep)
        assert Path(files[-1]).stat().st_size < (folder / f"{name}.pcapng").stat().st_size
    return told(files)


def assert_nothing_untrue(less: Told, everything: Told) -> None:
    """A path of fewer frames is part of a true one; what is said of a whole one is what was said of it."""
    for part in less.together:
        assert any(part <= whole for whole in everything.together)
    assert {change[1:] for change in less.rewrites} <= {change[1:] for change in everything.rewrites}
    assert {rule[1:] for rule in less.rules} <= {rule[1:] for rule in everything.rules}
    for part, outcome in less.outcomes.items():
        if outcome == "dropped":
            assert everything.outcomes.get(part) == "dropped"
        if outcome == "lost":  # what was dropped is lost, where nothing says that it was dropped
            assert everything.outcomes.get(part) in ("lost", "dropped")


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(name, marks=pytest.mark.fault("older kernels and tools", f"without {name}", "the same is told"))
        for name in OF_A_KERNEL
    ],
)
def test_what_an_older_kernel_or_tool_leaves_out_costs_no_path_and_no_translation(what, recording, tmp_path):
    folder, everything = recording
    less = thinned(folder, tmp_path, OF_A_KERNEL[what])
    assert less.together == everything.together
    assert less.rewrites == everything.rewrites
    assert less.outcomes == everything.outcomes


OF_A_TRACE = [*range(1, 9), *range(10, 14), 15, 16, *range(18, 22)]
"""NFTA_TRACE_*, but for padding, the mark, which is not in these recordings, and the transport header (9): the kernel
copies it whenever there is one."""


@pytest.mark.slow
@pytest.mark.parametrize("attribute", OF_A_TRACE)
def test_without_any_one_attribute_of_the_trace_nothing_untrue_is_told(attribute, recording, tmp_path):
    folder, everything = recording
    less = thinned(folder, tmp_path, without_attributes({TRACE: {attribute}}))
    assert_nothing_untrue(less, everything)


@pytest.mark.slow
@pytest.mark.parametrize("attribute", [1, 2, 3, 12])
def test_without_any_one_attribute_of_conntrack_nothing_untrue_is_told(attribute, recording, tmp_path):
    folder, everything = recording
    less = thinned(folder, tmp_path, without_attributes({CONNTRACK: {attribute}, CONNTRACK_GONE: {attribute}}))
    assert_nothing_untrue(less, everything)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.fault("older kernels and tools", f"no snapshot `{kind}`", "nothing untrue is told"),
        )
        for kind in SNAPSHOTS
    ],
)
def test_without_any_one_snapshot_nothing_untrue_is_told(kind, recording, tmp_path):
    folder, everything = recording
    assert_nothing_untrue(thinned(folder, tmp_path, without_snapshots(kind)), everything)


@pytest.mark.fault("older kernels and tools", "no conntrack at all", "nothing untrue is told")
def test_without_conntrack_nothing_untrue_is_told(recording, tmp_path):
    folder, everything = recording
    assert_nothing_untrue(thinned(folder, tmp_path, without_messages(CONNTRACK, CONNTRACK_GONE)), everything)


@pytest.mark.fault("older kernels and tools", "no trace at all", "nothing untrue is told")
def test_without_a_trace_nothing_untrue_is_told(recording, tmp_path):
    folder, everything = recording
    assert_nothing_untrue(thinned(folder, tmp_path, without_messages(TRACE)), everything)
