"""Bots and subscriptions: who listens to which channel, with which settings."""
