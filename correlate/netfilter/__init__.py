"""What the kernel said: messages to evaluations of chains, conntrack entries and rules.

For other rooms:
    drops: drop_words, function_of, reason_name, said_drops
    evaluations: Chain, Evaluations, LAST_PRIORITY, OWN_TABLE, build_evaluations, chain_keys
    from_frames: borrow_flows, error_key, fragment_key, join_outer_headers, lend_ports_to_fragments, times_by_frames
    messages: KernelMessages, Said
    numbers: CT_ORIGINAL, CT_REPLY, FAMILIES, Hook, NFT_BREAK, NFT_CONTINUE, NFT_GOTO, NFT_JUMP, NFT_RETURN
    numbers: NFT_TRACETYPE_RULE, NF_ACCEPT, NF_DROP, NF_QUEUE, NF_STOLEN, NF_VERDICT_MASK, NO_VERDICT, QUEUED, STOLEN
    numbers: UNDECIDED
    partial_headers: complete_headers
    rule_history: Moment, RuleHistory, build_histories
    rulebook: RewriteKind, RuleBook, build_rule_book, statement_of
    rules: Rule, Ruleset, parse_rulesets
    ruleset_message: RulesetMessage
    sources: SIGHTING_SOURCES, decode_messages, kind_names, source_of_kind
    told: Told, said_by_all
    translation_targets: is_outside, translation_targets
    verdicts: name_unconditional_rules, settle_legacy_verdicts
"""
