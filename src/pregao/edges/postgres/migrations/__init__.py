"""How the database came to its shape: forward only."""
