"""Envelope encryption: what opens, and what must not (F063)."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.accounts.sealing import Credentials, SealError
from pregao.edges.vault.envelope import EnvelopeVault, MasterKeys, master_key_name

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


class TestFollow:
    """A rotation changes the file while the process runs."""

    def vault(self, *changes: MasterKeys | None) -> EnvelopeVault:
        told = iter(changes)
        return EnvelopeVault(MASTER, desk_id=DESK, keys_changed=lambda: next(told, None))

    def test_opens_what_a_key_sealed_that_came_later(self):
        sealed = EnvelopeVault(NEXT, desk_id=DESK).seal(CREDENTIALS, account_id=1)
        vault = self.vault(None, MasterKeys(NEXT, former=(MASTER,)))

        with pytest.raises(SealError, match="MASTER_KEY_UNKNOWN"):
            vault.unseal(sealed, account_id=1)
        assert vault.unseal(sealed, account_id=1) == CREDENTIALS
        assert vault.unseal(VAULT.seal(CREDENTIALS, account_id=2), account_id=2) == CREDENTIALS

    def test_seals_and_rewraps_under_the_key_that_is_present_now(self):
        keys = MasterKeys(NEXT, former=(MASTER,))

        sealed = self.vault(keys).seal(CREDENTIALS, account_id=1)
        rewrapped = self.vault(keys).rewrap(VAULT.seal(CREDENTIALS, account_id=1), account_id=1)

        assert {sealed.master_key, rewrapped.master_key} == {master_key_name(NEXT)}
        assert self.vault(keys).master_key == master_key_name(NEXT)
        alone = EnvelopeVault(NEXT, desk_id=DESK)
        assert [alone.unseal(one, account_id=1) for one in (sealed, rewrapped)] == [CREDENTIALS] * 2

    def test_forgets_a_key_that_is_gone(self):
        vault = self.vault(MasterKeys(NEXT))
        vault.seal(CREDENTIALS, account_id=2)

        with pytest.raises(SealError, match="MASTER_KEY_UNKNOWN"):
            vault.unseal(VAULT.seal(CREDENTIALS, account_id=1), account_id=1)

    def test_shows_no_key(self):
        assert "m" * 8 not in repr(MasterKeys(MASTER, former=(MASTER,)))
