"""What a mistake of ours raises."""

MISTAKES = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
"""It fails again however often it is tried: one thing it is about is given up, and the others go on."""
