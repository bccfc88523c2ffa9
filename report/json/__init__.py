"""The result for programs: the JSON contract.

For other rooms:
    result: json_pieces, line_pieces
    why_object: why_lines, why_pieces
"""
