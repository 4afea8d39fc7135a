"""Credentials of an account, the form they are kept in, and the port that turns one into the other."""

from dataclasses import dataclass, field
from typing import Protocol

KEY_PATTERN = r"^[!-~]{1,512}$"  # Binance's have 64 letters and digits
PRIVATE_PATTERN = r"^[!-~][ -~\r\n]{0,8191}$"  # or a private key in PEM, which has lines


class SealError(Exception):
    """Sealed credentials cannot be opened: another master key sealed them, or they were changed."""


class KeyRetiredError(SealError):
    """They were sealed under a master key that was forgotten meanwhile: seal them anew under the present one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs an account's requests at its venue. Never printed, logged or answered."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """Credentials under a data key of their own, and that key under the master key; safe to store and dump."""

    sealed: bytes
    wrapped_key: bytes
    master_key: str  # names the master key, does not tell it


class Vault(Protocol):
    """Seals and opens credentials; each account's are bound to it and to the desk."""

    @property
    def master_key(self) -> str:
        """The name of the master key that seals now."""
        ...

    def seal(self, credentials: Credentials, *, account_id: int) -> SealedCredentials:
        """Seal under a new data key."""
        ...

    def unseal(self, sealed: SealedCredentials, *, account_id: int) -> Credentials:
        """
        Open what was sealed for this account.

        :raises SealError: when the master key is not at hand, or the bytes were changed or moved.
        """
        ...

    def rewrap(self, sealed: SealedCredentials, *, account_id: int) -> SealedCredentials:
        """
        Put the data key under the present master key; the sealed credentials stay as they are.

        :raises SealError: when the former master key is not at hand, or the bytes were changed or moved.
        """
        ...
