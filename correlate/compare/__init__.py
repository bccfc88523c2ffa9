"""Two runs compared: connections paired by their roles, and where the ways, rules, rewrites, outcomes or delays of a
good run and a bad one part.

common_names, ends, points, rule_words (what both runs call the same) -> grouping (columns: which connection has which
role) -> ways, delays (what became of each role in one run) -> runs (a run, part by part) -> pairing -> alignment,
parting (where two ways part) -> comparison.

For other rooms:
    comparison: Comparison, PairTold, compare_runs
    grouping: RoleKey
    pairing: PairCompared
    parting: Difference
    runs: Run, RunOfParts, Side
    settings: RecordedOtherwise
"""
