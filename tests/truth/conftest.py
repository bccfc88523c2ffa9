"""Numbers that the truth tests find out are shown at the end of the run, passed or not."""

import pytest

LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def report_numbers(request):
    """A function whose argument is shown in the summary of the run."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("truth")
        for line in lines:
            terminalreporter.write_line(line)
