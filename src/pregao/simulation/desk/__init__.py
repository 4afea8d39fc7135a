"""The desk's database in memory: the journal in a list, the same folds and answers written a second time."""
