"""Tests of correlate/why_not/."""
