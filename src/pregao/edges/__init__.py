"""The only place that talks to the outside world; edges do not know each other."""
