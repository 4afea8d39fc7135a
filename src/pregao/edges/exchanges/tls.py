"""Whom this process believes on the wire: the system's certificate authorities, read once."""

import ssl
from functools import cache


@cache
def system_authorities() -> ssl.SSLContext:
    """Give the one context of all lines and streams: to read the authorities takes longer than to connect."""
    return ssl.create_default_context()
