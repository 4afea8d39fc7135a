"""Commands on accounts: facts out, or a reason."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.accounts.configure import change_account, check_credentials, open_account, register_on_paper
from pregao.accounts.refusals import ConflictError, SettingUnusableError, UnknownError, VenueAwayError
from pregao.accounts.sealing import Credentials
from pregao.domain.account import Account, Venue
from pregao.domain.facts import AccountConfigured
from pregao.domain.order import PositionMode
from pregao.domain.venue import MarginMode
from tests.builders import NOON, account

CREDENTIALS = Credentials(key="the-key", secret="the-secret")


@dataclass
class MemoryBook:
    account: Account | None
    trading: bool = False
    main: Account | None = None

    async def find_account(self, account_id):
        return self.account if self.account and self.account.account_id == account_id else None

    async def find_main_account(self, user_id):
        return self.main if self.main and self.main.user_id == user_id else None

    async def is_trading(self, _account_id):
        return self.trading


class TestOpenAccount:
    async def test_gives_the_whole_account(self):
        facts = await open_account(account(name=" main "), book=MemoryBook(None), now=NOON)

        assert facts == [AccountConfigured(happened_at=NOON, account=account(name="main"))]

    async def test_leaves_one_main_account_of_an_owner(self):
        former = account(1, is_main=True)
        book = MemoryBook(None, main=former)

        facts = await open_account(account(2, is_main=True), book=book, now=NOON)
        of_another = await open_account(account(3, is_main=True, user_id=UUID(int=7)), book=book, now=NOON)

        assert [(fact.account.account_id, fact.account.is_main) for fact in facts] == [(1, False), (2, True)]
        assert [fact.account.account_id for fact in of_another] == [3]

    @pytest.mark.parametrize("name", ["", "  ", "x" * 256, "two\nlines", "nul\x00"])
    async def test_refuses_what_is_no_name(self, name):
        with pytest.raises(SettingUnusableError, match="NAME_UNUSABLE"):
            await open_account(account(name=name), book=MemoryBook(None), now=NOON)


class TestChangeAccount:
    @pytest.mark.parametrize("changes", [{"is_active": False}, {"margin_mode": MarginMode.ISOLATED}])
    async def test_needs_it_quiet_for_what_an_open_position_hangs_on(self, changes):
        (fact,) = await change_account(1, changes, book=MemoryBook(account()), now=NOON)

        assert fact.account == account(**changes)
        with pytest.raises(ConflictError, match="ACCOUNT_TRADING"):
            await change_account(1, changes, book=MemoryBook(account(), trading=True), now=NOON)

    async def test_renames_while_it_trades(self):
        (fact,) = await change_account(1, {"name": "new"}, book=MemoryBook(account(), trading=True), now=NOON)

        assert fact.account.name == "new"

    async def test_leaves_the_position_mode_the_paper_exchange_was_told(self):
        hedge = {"position_mode": PositionMode.HEDGE}

        with pytest.raises(ConflictError, match="POSITION_MODE_FIXED"):
            await change_account(1, hedge, book=MemoryBook(account()), now=NOON)
        assert await change_account(1, hedge, book=MemoryBook(account(venue=Venue.BINANCE_DEMO)), now=NOON)

    async def test_gives_nothing_when_nothing_changes(self):
        assert await change_account(1, {"is_active": True}, book=MemoryBook(account()), now=NOON) == []

    async def test_tells_an_unknown_account(self):
        with pytest.raises(UnknownError, match="ACCOUNT_UNKNOWN"):
            await change_account(1, {}, book=MemoryBook(None), now=NOON)


class TestCheckCredentials:
    def test_asks_for_them_at_every_venue_but_paper(self):
        check_credentials(None, venue=Venue.PAPER)
        with pytest.raises(SettingUnusableError, match="CREDENTIALS_MISSING"):
            check_credentials(None, venue=Venue.BINANCE)

    @pytest.mark.parametrize(("key", "secret"), [("", "s"), ("k", " "), ("k" * 513, "s"), ("k", "çã")])
    def test_refuses_what_is_no_key_and_tells_nothing_of_it(self, key, secret):
        with pytest.raises(SettingUnusableError, match="CREDENTIALS_UNUSABLE") as refusal:
            check_credentials(Credentials(key=key, secret=secret), venue=Venue.PAPER)

        assert "çã" not in str(refusal.value)

    def test_are_never_printed(self):
        """F063."""
        assert "the-" not in f"{CREDENTIALS} {CREDENTIALS!r} {[CREDENTIALS]}"


class TestRegisterOnPaper:
    async def test_says_that_the_exchange_is_away_whatever_happened_there(self):
        async def register(*_told):
            raise RuntimeError("the-secret")

        with pytest.raises(VenueAwayError, match="PAPER_AWAY") as away:
            await register_on_paper(account(), CREDENTIALS, balance_usdt=Decimal(100), register=register)

        assert "the-secret" not in str(away.value)

    @pytest.mark.parametrize("balance", ["0", "0.99", "1000000000.01"])
    async def test_refuses_a_balance_out_of_range(self, balance):
        with pytest.raises(SettingUnusableError, match="SETTING_OUT_OF_RANGE"):
            await register_on_paper(account(), CREDENTIALS, balance_usdt=Decimal(balance), register=None)
