"""Credentials under lock: envelope encryption of what signs at the venues."""
