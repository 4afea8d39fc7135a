"""Files of candles and of trades: CSV in the shapes people have them, Parquet, and the lab's own folder."""
