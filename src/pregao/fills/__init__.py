"""Takes fills as venues tell them, possibly twice; gives each booked once."""
