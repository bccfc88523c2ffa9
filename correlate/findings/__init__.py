"""What a person wants to know first: what became of connections, and why, in one sentence each.

A family is a module of pure functions from the Facts of a part to what is seen there (Seen). Families of causes come
before families of symptoms, which leave out the connections that a cause explains (families.py). AllFindings puts what
the parts see together, in order. What may be seen only where several parts are looked at together, each part brings as
Clues; joined they are what is Common to all, which the families look at too. A finding rests on evidence, or it is not
made.

For other rooms:
    all_findings: MOST_IDS, AllFindings
    asked_rules: with_asked_rules
    clues: AllClues, FramesRead, InParts, clues_of
    common: Clues, Common
    kinds: Kind, MOST_OF_A_KIND, Severity
    values: Evidence, Finding
"""
