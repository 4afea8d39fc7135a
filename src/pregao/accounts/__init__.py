"""Who trades: accounts, their credentials and their limits."""
