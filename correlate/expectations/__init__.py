"""What somebody expects of the captures (`ttrace check`): how it is written, and whether it holds.

grammar.py reads an expectation to a frozen value; matching.py says which connections of a part it is about, and
evaluation.py, part by part, whether it holds, by the result and its findings.

For other rooms:
    evaluation: AllExpectations, Judged
    grammar: Expectation, read_expectation
"""
