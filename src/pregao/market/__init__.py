"""Instruments and live prices, one per venue and symbol for everybody."""
