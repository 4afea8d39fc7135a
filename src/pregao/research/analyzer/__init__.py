"""The analyzer: watches candles as they are made, has strategies judge each, and tells what they want."""
