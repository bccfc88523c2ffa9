"""The capture file: reader and writer."""
