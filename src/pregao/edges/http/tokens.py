"""Tokens people and programs come in with: 256 random bits, shown once, kept as SHA-256."""

import base64
import hashlib
import secrets

from pregao.accounts.second_factor import RECOVERY_CHARACTERS, RECOVERY_CODES

TOKEN_BYTES = 32  # nobody finds one by trying, so a slow hash would add nothing
SESSION_PREFIX = "pgs_"  # so that people and secret scanners know what they have found
HALF_LOGIN_PREFIX = "pgh_"
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


def new_app_secret() -> str:
    """Give what makes an app's codes: 160 bits, as RFC 4226 recommends, in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def new_recovery_codes() -> list[str]:
    """Give codes for the day the app is lost, in groups of four that people can copy."""
    return [_grouped(secrets.token_bytes(RECOVERY_CHARACTERS * 5 // 8)) for _ in range(RECOVERY_CODES)]


def _grouped(code: bytes) -> str:
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
