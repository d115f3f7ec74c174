"""The transcript: an append-only file from which every request is rebuilt."""
