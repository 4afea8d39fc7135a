"""
Envelope encryption: each account's credentials under a data key of their own, the data key under the master key.

Both are AES-256-GCM with the desk and the account as associated data, so a row copied to another account or
another desk does not open. Only the data keys are wrapped anew when the master key changes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pregao.accounts.sealing import Credentials, SealedCredentials, SealError

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # as NIST SP 800-38D recommends for GCM
NAME_CHARACTERS = 8  # enough to tell a desk's few master keys apart, nothing to guess one from


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The key that seals, and others that open what they sealed."""

    present: bytes = field(repr=False)
    former: tuple[bytes, ...] = field(default=(), repr=False)


KeysChanged: TypeAlias = Callable[[], MasterKeys | None]
"""Gives the keys once they are others than they were; None as long as they are the same."""


def _never() -> None:
    """Say that the keys are the same."""


def master_key_name(master_key: bytes) -> str:
    """Name a master key without telling it: the first hex digits of its SHA-256."""
    return hashlib.sha256(master_key).hexdigest()[:NAME_CHARACTERS]


class EnvelopeVault:
    """Seals under one master key; opens what it or a former one sealed; follows when the keys change."""

    def __init__(
        self,
        master_key: bytes,
        *,
        desk_id: UUID,
        former_keys: Sequence[bytes] = (),
        keys_changed: KeysChanged = _never,
    ) -> None:
        """
        Bind to one desk; ``former_keys`` are needed until everything is wrapped anew.

        ``keys_changed`` is asked before anything is sealed, and when something was sealed under a key nobody knows.
        """
        self._desk_id = desk_id
        self._keys_changed = keys_changed
        self._take(MasterKeys(master_key, tuple(former_keys)))

    @property
    def master_key(self) -> str:
        self._follow()
        return self._name

    def _follow(self) -> None:
        keys = self._keys_changed()
        if keys is not None:
            self._take(keys)

    def _take(self, keys: MasterKeys) -> None:
        self._name = master_key_name(keys.present)
        self._keys = {master_key_name(key): AESGCM(key) for key in (*keys.former, keys.present)}

    def seal(self, credentials: Credentials, *, account_id: int) -> SealedCredentials:
        name = self.master_key
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        text = json.dumps({"key": credentials.key, "secret": credentials.secret})
        return SealedCredentials(
            sealed=_lock(AESGCM(data_key), text.encode(), bound_to=self._credentials_of(account_id)),
            wrapped_key=_lock(self._keys[name], data_key, bound_to=self._key_of(account_id)),
            master_key=name,
        )

    def unseal(self, sealed: SealedCredentials, *, account_id: int) -> Credentials:
        data_key = AESGCM(self._unwrap(sealed, account_id=account_id))
        fields = json.loads(_unlock(data_key, sealed.sealed, bound_to=self._credentials_of(account_id)))
        return Credentials(key=fields["key"], secret=fields["secret"])

    def rewrap(self, sealed: SealedCredentials, *, account_id: int) -> SealedCredentials:
        name = self.master_key
        data_key = self._unwrap(sealed, account_id=account_id)
        wrapped_key = _lock(self._keys[name], data_key, bound_to=self._key_of(account_id))
        return SealedCredentials(sealed=sealed.sealed, wrapped_key=wrapped_key, master_key=name)

    def _unwrap(self, sealed: SealedCredentials, *, account_id: int) -> bytes:
        if sealed.master_key not in self._keys:
            self._follow()
        master = self._keys.get(sealed.master_key)
        if master is None:
            raise SealError(
                f"MASTER_KEY_UNKNOWN: account={account_id} sealed_under={sealed.master_key} present={self._name}. "
                "Give the former master key too, and wrap the credentials anew."
            )
        return _unlock(master, sealed.wrapped_key, bound_to=self._key_of(account_id))

    def _credentials_of(self, account_id: int) -> bytes:
        return f"pregao/credentials/1/{self._desk_id}/{account_id}".encode()

    def _key_of(self, account_id: int) -> bytes:
        return f"pregao/data-key/1/{self._desk_id}/{account_id}".encode()


def _lock(key: AESGCM, plain: bytes, *, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound_to)


def _unlock(key: AESGCM, locked: bytes, *, bound_to: bytes) -> bytes:
    try:
        return key.decrypt(locked[:NONCE_BYTES], locked[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise SealError("SEAL_BROKEN: the sealed bytes were changed, or belong to another account.") from None
