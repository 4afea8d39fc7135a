"""Strategies: candles and parameters in, the position they want at every bar out, with stops and targets."""
