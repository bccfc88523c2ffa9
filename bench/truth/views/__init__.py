"""Captures of other people, as if a box had stood on the way: views whose truth is known because we made them.

captures.py reads any capture; layout.py finds the headers of a frame and rewriting.py changes them as a box does;
ways.py says which frames belong to one conversation and which side each end is on; signs.py what a conversation itself
shows of the fate of its packets. kinds.py lists what boxes there are, translating.py the addresses they give;
crossing.py lets a capture cross them and points.py writes what each point saw. alike.py finds what nothing can tell
apart; judge.py compares. running.py runs each capture in a process of its own; report.py and document.py show what came
of it. `python -m bench.truth --views DIR` (command.py) runs it all, on example.py first. No code of ttrace is used but
for what is judged.
"""
