"""Captures of other people, as if a box had stood on the way: views whose truth is known because we made them.

captures.py reads any capture; layout.py finds the headers of a frame and rewriting.py changes them as a box does;
ways.py says which frames belong to one conversation and which side each end is on; signs.py what a conversation
itself shows of the fate of its packets. kinds.py lists what boxes there are; crossing.py lets a capture cross one and
points.py writes what each point saw. alike.py finds what nothing can tell apart; judge.py compares; running.py runs
each capture in a process of its own. `python -m bench.truth --views DIR` runs it (command.py), report.py and document.py show it. No code of ttrace is used but for
what is judged.
"""
