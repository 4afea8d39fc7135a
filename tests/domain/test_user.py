"""Roles are a ladder, and users survive the journal like everything else."""

import pytest

from pregao.domain.facts import AccountConfigured
from pregao.domain.user import Role
from pregao.edges.postgres.journal import decode


class TestRole:
    def test_includes_those_below_it_and_itself(self):
        included = {role: {needed for needed in Role if role.includes(needed)} for role in Role}

        assert included == {
            Role.VIEWER: {Role.VIEWER},
            Role.TRADER: {Role.VIEWER, Role.TRADER},
            Role.OPERATOR: {Role.VIEWER, Role.TRADER, Role.OPERATOR},
            Role.ADMIN: set(Role),
        }

    @pytest.mark.parametrize(
        ("role", "is_staff"),
        [(Role.VIEWER, False), (Role.TRADER, False), (Role.OPERATOR, True), (Role.ADMIN, True)],
    )
    def test_looks_after_the_whole_desk_from_operator_on(self, role, is_staff):
        assert role.is_staff is is_staff


class TestOldJournals:
    def test_give_accounts_of_the_desk(self):
        """A fact written before users were there still says the same."""
        written = """{"happened_at": "2026-11-01T00:00:00Z", "account": {"account_id": 1, "name": "main",
            "venue": "paper", "position_mode": "one_way", "margin_mode": "crossed", "margin_asset": "USDT",
            "is_active": true}}"""

        fact = decode("AccountConfigured", written)

        assert isinstance(fact, AccountConfigured)
        assert (fact.account.user_id, fact.account.is_main) == (None, False)
