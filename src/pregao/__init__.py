"""Pregão: one signal comes in, every subscribed account trades it once, and anybody can see why."""

__version__ = "0.1.0"
