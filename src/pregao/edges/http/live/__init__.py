"""
What happens, told as it happens: server-sent events, and the websockets of systems A and B.

One feed per web process reads the journal once for all who watch. Which fact makes which event stands in events.py,
which fact makes which of system A's messages in updates.py, which of system B's in notifications.py.
"""
