"""The scene of the reports."""

from ttrace.tests.report.scenes import request_and_answer as make

__all__ = ["make"]
