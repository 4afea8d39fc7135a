"""Every position is guarded to its exit: stops, targets and trailing, watched in memory, claimed once, never silent."""
