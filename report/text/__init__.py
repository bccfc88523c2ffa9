"""The result for people.

For other rooms:
    capture_file: description_text
    expectations: expectations_text
    doctor: diagnoses_text, lab_text, warm_up_text
    report: text_pieces
    why: why_pieces
    progress: capture_status, capture_summary, stages
"""
