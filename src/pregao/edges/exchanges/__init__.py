"""Venues that trade, one package each: our words become theirs, their codes become our four kinds of no."""
