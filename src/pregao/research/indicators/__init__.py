"""What is computed of candles, bar by bar: at once, one bar after the other, kept, and put together to a rating."""
