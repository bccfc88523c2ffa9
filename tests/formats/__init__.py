"""Files as older versions wrote them: they stay readable for ever (docs/file-format.md)."""
