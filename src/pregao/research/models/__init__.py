"""Models that say how likely a move is: how they are taught, what they are worth, where they lie, and what they say of candles."""
