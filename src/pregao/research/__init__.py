"""
The lab: candles, indicators, strategies, backtests.

It takes candles and gives figures about them. It computes in 64-bit floating point, on arrays: no number in here is an amount of
money that the desk trades. No part of the desk that trades imports it.
"""
