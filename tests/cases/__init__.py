"""Behaviour as folders: captures in, answer out (README.md)."""
