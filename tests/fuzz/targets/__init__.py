"""What is fuzzed: a module for each parser, with `seeds()`, `mutate(rng, seed, seeds)` and `run(data)`.

`run` may raise TtraceError; anything else, a signal or 20 s without an end are findings.
"""

from importlib import import_module
from types import ModuleType

NAMES = (
    "pcapng_file", "pcap_file", "compressed", "dissector", "nftrace", "nflog", "conntrack", "ruleset_messages",
    "ruleset_text", "ruleset_json", "snapshots", "pipeline", "in_parts",
)  # fmt: skip
WEIGHTS = {"pipeline": 4, "snapshots": 2, "in_parts": 2}
"""Shares of the time, of those that get more than one."""


def target(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
