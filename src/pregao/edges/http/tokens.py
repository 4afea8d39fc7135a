"""Tokens people and programs come in with: 256 random bits, shown once, kept as SHA-256."""

import hashlib
import secrets

TOKEN_BYTES = 32  # nobody finds one by trying, so a slow hash would add nothing
SESSION_PREFIX = "pgs_"  # so that people and secret scanners know what they have found
API_TOKEN_PREFIX = "pgt_"  # noqa: S105  # no secret yet


def new_token(prefix: str) -> str:
    """Give a token nobody has."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)


def sha256_of(token: str) -> str:
    """Give what is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def is_of_ours(token: str) -> bool:
    """Say whether it looks like a session's or an API token, so that others cost no query."""
    return token.startswith((SESSION_PREFIX, API_TOKEN_PREFIX)) and len(token) < 100
