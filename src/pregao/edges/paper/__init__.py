"""The simulated exchange behind Binance's own USD-M futures protocol: HTTP, streams, control paths."""
