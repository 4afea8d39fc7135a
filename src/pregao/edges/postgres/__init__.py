"""PostgreSQL: the journal, the state that is its fold, and what the rooms ask of it."""
