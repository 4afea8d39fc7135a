"""Takes an accepted signal; gives a decision: approved, or declined with the numbers of every check."""
