"""Room: where signals are forwarded to, which addresses may be such a place, and how many forwards leave in a minute."""
