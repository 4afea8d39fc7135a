"""Ours and the limit, measured in the same run: `python -m benchmarks.NAME [--json]`."""
