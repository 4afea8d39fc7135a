"""What a strategy would have done: one order of events, computed plainly and compiled, and what to think of the result."""
