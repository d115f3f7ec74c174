"""`spanscript demo`."""
