"""Why a rule did not match, or what it matched: asked of a result for the rules that somebody names.

asked -> targets (the rule, wherever it stands) -> visits (which packets came to it, by the trace alone) ->
iptables_conditions, nft_conditions (what it wants) -> looks, surroundings, conntrack_facts (what the packets were
there) -> evaluate -> answers, elsewhere, translations -> groups -> why_not.

For other rooms:
    why_not: AllWhyNots, WhyNot
"""
