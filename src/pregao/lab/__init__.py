"""Takes what somebody wants to know of a strategy; keeps it until the lab has computed it. Nothing here computes."""
