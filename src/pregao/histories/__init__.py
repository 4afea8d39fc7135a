"""Seeded histories of a whole desk in virtual time: first that nothing unsafe happens, then that everything settles."""
