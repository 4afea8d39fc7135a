"""
The desk's processes: PostgreSQL, the roles, the one supervisor above them, and what they log.

`supervisor`, `child`, `postgres`, `state` and `sockets` import the standard library only: the supervisor stays small.
"""
