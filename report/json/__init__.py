"""The result for programs: the JSON contract."""
