"""Everything compiled before it is needed."""
