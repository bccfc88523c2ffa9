"""The capture file: pcapng as ttrace writes and reads it (docs/file-format.md). The only place that knows the format."""
