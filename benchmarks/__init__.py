"""What spanscript costs, measured in pairs in one run: `python -m benchmarks [--json] [case …]`."""
