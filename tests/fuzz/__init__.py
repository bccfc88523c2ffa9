"""Damaged inputs without end: a target for each parser, mutants of what was recorded, and a child process that may die.

`python -m ttrace.tests.fuzz --help`; docs/fuzzing.md says how it works and what the last long run tried.
"""
