"""Which tests need root, and which stay in one worker when several run (`make test`)."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = ("capture", "lab", "truth", "test_bench.py", "test_kill.py")
"""What stands there is marked `root`; elsewhere a test says it itself."""
LABS = ("lab", "truth", "test_bench.py", "test_kill.py")
"""In one worker: labs of fixed names, Docker engines, floods. All else is independent, file by file:
tests/capture names its namespaces by the process, and each test there has journals of its own."""


def pytest_addoption(parser):
    parser.addoption("--collect-inputs", type=Path, metavar="FOLDER", help="keep what is correlated there (digests.py)")
    parser.addoption("--write-faults", type=Path, metavar="FILE", help="write what the tests inject (faults.py)")
    parser.addoption(
        "--write-signatures", type=Path, metavar="FILE", help="write what kernels are called with (ahead/)"
    )


def pytest_configure(config):
    if folder := config.getoption("--collect-inputs"):
        from ttrace.tests.inputs import collect_into

        collect_into(folder)
    if file := config.getoption("--write-signatures"):
        from ttrace.ahead.signatures import Recorded, record_into, reduced, write_signatures

        found = Recorded(set)
        record_into(found)
        config.add_cleanup(lambda: write_signatures(reduced(found), file))


def place(path: Path) -> str:
    """The folder below tests/, or the file there."""
    return path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(config, items):
    if file := config.getoption("--write-faults"):
        from ttrace.tests.faults import write

        write(items, file)
    for item in items:
        if place(item.path) in ROOT:
            item.add_marker(pytest.mark.root)
    # What takes longest begins first.
    items.sort(key=lambda item: place(item.path) not in LABS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Workers get the labs as one piece of work, and all else file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return "labs" if place(config.rootpath / file) in LABS else file

    config.option.loadscopereorder = False  # in the order in which they are collected
    return ByFile(config, log)


NUMBERS = "number found out"
"""Property of a test: a line that is shown at the end, whatever worker it ran in."""


@pytest.fixture
def report_numbers(record_property):
    """A function whose argument is shown in the summary of the run, passed or not."""
    return lambda line: record_property(NUMBERS, line)


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    lines = [
        value
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == NUMBERS
    ]
    if lines:
        terminalreporter.section("truth")
        for line in lines:
            terminalreporter.write_line(line)
