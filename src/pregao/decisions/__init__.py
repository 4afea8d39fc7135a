"""Takes an accepted signal; gives a decision: approved, declined with the numbers of every check, or put to a person."""
