"""`spanscript tail`."""
