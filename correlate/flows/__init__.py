"""Who is the same connection, through NAT.

For other rooms:
    connections: Connections, Tie, find_connections, rival_pairs
    servers: Servers, Talks, end_pairs
    repeated_sequences: begun_sequences, repeated_sequences
    ties_by_content: can_vote
    views: MOST_VIEWS
"""
