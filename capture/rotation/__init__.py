"""The files of a capture that is left running: one behind the other, and what is removed or kept of them.

For other rooms:
    files: CaptureFiles
    freezing: seen_bits
    seam: Rotation
"""
