"""Carries out what the lab was asked: the one way from the desk's questions to `research`. Loaded by the lab's process alone."""
