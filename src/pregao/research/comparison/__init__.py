"""What the desk traded for a strategy, beside what a backtest of the same strategy trades on the same candles."""
