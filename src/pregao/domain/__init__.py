"""Values, facts and rules of the trade. Pure: no clock, no chance, no I/O, no async."""
