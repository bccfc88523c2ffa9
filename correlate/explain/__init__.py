"""Why a frame is matched with others, or why not.

For other rooms:
    absent_points: Absence, AbsentPoint, NearPacket, Nearness
    beside: Apart
    compared_fields: ComparedField, Difference, MISSING, PayloadCheck
    equal_packets: EqualPacket, NotIt
    explain: Explanation, PathSighting, explain
    flow_ties: TiedFlow
    frame_reference: file_label, find_frame
"""
