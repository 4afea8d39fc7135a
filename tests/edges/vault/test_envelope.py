"""Envelope encryption: what opens, and what must not (F063)."""

import base64
import os
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.accounts.sealing import Credentials, SealError
from pregao.edges.vault.envelope import EnvelopeVault, master_key_name, read_master_key

DESK, OTHER_DESK = UUID(int=1), UUID(int=2)
MASTER, NEXT = b"m" * 32, b"n" * 32
CREDENTIALS = Credentials(key="the-key", secret="the-secret")
VAULT = EnvelopeVault(MASTER, desk_id=DESK)


class TestSeal:
    @given(key=st.text(max_size=100), secret=st.text(max_size=300), account_id=st.integers(1, 2**63 - 1))
    def test_opens_to_what_was_sealed(self, key, secret, account_id):
        credentials = Credentials(key=key, secret=secret)

        sealed = VAULT.seal(credentials, account_id=account_id)

        assert VAULT.unseal(sealed, account_id=account_id) == credentials

    def test_is_never_the_same_twice(self):
        """A data key and nonces of its own each time: equal secrets cannot be told from the rows."""
        first, second = (VAULT.seal(CREDENTIALS, account_id=1) for _ in range(2))

        assert first.sealed != second.sealed
        assert first.wrapped_key != second.wrapped_key

    def test_names_the_master_key_without_telling_it(self):
        sealed = VAULT.seal(CREDENTIALS, account_id=1)

        assert sealed.master_key == master_key_name(MASTER) == VAULT.master_key
        assert len(sealed.master_key) == 8
        assert b"the-" not in sealed.sealed + sealed.wrapped_key


class TestUnseal:
    @pytest.mark.parametrize("part", ["sealed", "wrapped_key"])
    @pytest.mark.parametrize(
        "change", [lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:5], lambda _: b""]
    )
    def test_refuses_what_was_changed(self, part, change):
        sealed = VAULT.seal(CREDENTIALS, account_id=1)
        changed = replace(sealed, **{part: change(getattr(sealed, part))})

        with pytest.raises(SealError, match="SEAL_BROKEN"):
            VAULT.unseal(changed, account_id=1)

    def test_refuses_what_belongs_to_another_account_or_desk(self):
        sealed = VAULT.seal(CREDENTIALS, account_id=1)

        with pytest.raises(SealError, match="SEAL_BROKEN"):
            VAULT.unseal(sealed, account_id=2)
        with pytest.raises(SealError, match="SEAL_BROKEN"):
            EnvelopeVault(MASTER, desk_id=OTHER_DESK).unseal(sealed, account_id=1)

    def test_names_the_master_key_that_is_missing(self):
        sealed = VAULT.seal(CREDENTIALS, account_id=1)

        with pytest.raises(SealError, match=f"sealed_under={VAULT.master_key}"):
            EnvelopeVault(NEXT, desk_id=DESK).unseal(sealed, account_id=1)


class TestRewrap:
    def test_needs_the_former_key_once_and_then_no_more(self):
        sealed = VAULT.seal(CREDENTIALS, account_id=1)
        both = EnvelopeVault(NEXT, desk_id=DESK, former_keys=[MASTER])

        rewrapped = both.rewrap(sealed, account_id=1)

        assert EnvelopeVault(NEXT, desk_id=DESK).unseal(rewrapped, account_id=1) == CREDENTIALS
        assert both.unseal(sealed, account_id=1) == CREDENTIALS
        with pytest.raises(SealError):
            VAULT.unseal(rewrapped, account_id=1)


class TestReadMasterKey:
    def test_reads_thirty_two_bytes_in_base64(self):
        key = os.urandom(32)

        assert read_master_key(base64.b64encode(key).decode()) == key

    @pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"x" * 31).decode(), "%" * 44, "ç" * 44])
    def test_refuses_anything_else_without_telling_it(self, text):
        with pytest.raises(ValueError, match=r"^MASTER_KEY_UNUSABLE: bytes=") as refusal:
            read_master_key(text)

        assert not text or text not in str(refusal.value)
