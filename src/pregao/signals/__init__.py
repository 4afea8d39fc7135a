"""Takes bytes as they came; gives a signal that was accepted, or refused with its reason."""
