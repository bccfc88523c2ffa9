"""The capture file: pcapng as ttrace writes and reads it (docs/file-format.md); only this package knows the format."""
