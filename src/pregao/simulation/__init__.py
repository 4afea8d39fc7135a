"""The outside world in memory, on a seed: an exchange that matches, charges and liquidates, markets, faults."""
