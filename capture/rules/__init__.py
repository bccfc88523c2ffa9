"""The rules of a namespace: our own tracing table, and what the others are."""
