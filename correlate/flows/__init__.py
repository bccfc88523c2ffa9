"""Who is the same connection, through NAT.

For other rooms:
    connections: Connections, Tie, comparable_clocks, find_connections, rival_pairs
    repeated_sequences: begun_sequences, repeated_sequences
    servers: Servers, Talks, end_pairs
    ties_by_content: can_vote
    views: MOST_VIEWS
"""
