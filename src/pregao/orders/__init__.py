"""One decision becomes one order per account: planned, sent once, asked about until it is known."""
