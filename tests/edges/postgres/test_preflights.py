"""Who is looked over next, what is kept of it, and what planning reads of that."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from pregao.domain.account import Venue
from pregao.domain.bot import SubscriptionStatus
from pregao.domain.facts import AccountConfigured, BotConfigured, SubscriptionConfigured
from pregao.domain.preflight import Check, CheckResult, Light, Result
from pregao.edges.postgres import preflights
from pregao.edges.postgres.books import PostgresBooks
from pregao.edges.postgres.preflights import Due, PostgresPreflights
from tests.builders import NOON, account, bot, configured, subscription

PAPER = [Venue.PAPER]
LATER = NOON + timedelta(minutes=1)
FINE = CheckResult(check=Check.VENUE, result=Result.OK, code="VENUE_ANSWERS")
WITHDRAWS = CheckResult(
    check=Check.KEY, result=Result.FAILED, code="KEY_MAY_WITHDRAW", remedy="Take it away.", denies=True
)


def about(number=1, *, symbol="BTCUSDT", **changes):
    given = {
        "check": Check.LEVERAGE, "result": Result.FAILED, "code": "LEVERAGE_ABOVE_MAXIMUM",
        "numbers": {"leverage": "50"}, "remedy": "Lower it.", "denies": True, "symbol": symbol,
        "subscription_id": subscription(number).subscription_id,
    }  # fmt: skip
    return CheckResult(**(given | changes))


@pytest.fixture
async def desk(journal):
    await put(journal, configured(accounts=3))
    await preflights.call_changed(journal.pool, PAPER)
    return journal


async def put(journal, facts):
    async with journal.transaction() as transaction:
        await transaction.append(facts)


async def claimed(desk, limit=10, **options):
    return await preflights.claim_due(desk.pool, PAPER, limit=limit, **options)


async def ids(desk, **options):
    return sorted(one.account_id for one in await claimed(desk, **options))


async def keep(desk, results, *, due=None, account_id=1, seconds=3600.0):
    followed = await preflights.read_followed(desk.pool, account_id)
    due = due or Due(account_id=account_id, asked_at=None, fixes=False)
    return await preflights.keep(desk.pool, due, results, seconds=seconds, settings_of=followed.settings_of)


async def obstacles(desk, symbol="BTCUSDT"):
    [found] = (await PostgresBooks(desk.pool).obstacles({uuid4(): symbol}, account_ids=[1, 2])).values()
    return {key: one.code for key, one in found.grounded.items()}


def asked_of(desk):
    return PostgresPreflights(desk.pool, ring=lambda: None)


class TestClaim:
    async def test_every_new_account_is_due_and_claimed_by_one(self, desk):
        claims = await asyncio.gather(*(ids(desk, limit=2) for _ in range(3)))

        assert sorted(number for some in claims for number in some) == [1, 2, 3]
        assert await ids(desk) == []

    async def test_who_waits_goes_first_and_what_he_asked_for_is_told(self, desk):
        await ids(desk)
        asked_at = await asked_of(desk).ask(2, fixes=True)

        assert await claimed(desk, only_asked=True) == [Due(account_id=2, asked_at=asked_at, fixes=True)]

    async def test_an_account_that_is_switched_off_is_looked_at_when_asked_only(self, desk):
        await put(desk, [AccountConfigured(happened_at=LATER, account=account(1, is_active=False))])
        assert await ids(desk) == [2, 3]

        await asked_of(desk).ask(1, fixes=False)

        assert await ids(desk) == [1]

    @pytest.mark.parametrize(
        "changed",
        [
            AccountConfigured(happened_at=LATER, account=account(1, name="other")),
            SubscriptionConfigured(happened_at=LATER, subscription=subscription(1, custom_leverage=3)),
            BotConfigured(happened_at=LATER, bot=bot(default_leverage=4)),
        ],
    )
    async def test_what_was_changed_since_is_due_once(self, desk, changed):
        for number in await ids(desk):
            await keep(desk, [FINE], account_id=number)
        assert await ids(desk) == []

        await put(desk, [changed])
        await preflights.call_changed(desk.pool, PAPER)
        due = await ids(desk)
        for number in due:
            await keep(desk, [FINE], account_id=number)
        await preflights.call_changed(desk.pool, PAPER)

        assert 1 in due
        assert await ids(desk) == []

    async def test_what_is_put_off_comes_later_and_what_is_doubted_at_once(self, desk):
        await ids(desk)
        await preflights.call_soon(desk.pool, [1, 2])
        await preflights.put_off(desk.pool, 2, seconds=60)

        assert await ids(desk) == [1]


class TestFollowed:
    async def test_gives_active_subscriptions_with_what_their_bots_are(self, desk):
        await put(
            desk,
            [
                SubscriptionConfigured(
                    happened_at=LATER, subscription=subscription(2, status=SubscriptionStatus.PAUSED)
                )
            ],
        )

        one, other = [await preflights.read_followed(desk.pool, number) for number in (1, 2)]

        assert (one.account, one.follows[0].bot, one.follows[0].lately) == (account(1), bot(), [])
        assert other.follows == []

    async def test_says_whether_the_books_are_quiet(self, desk):
        assert await preflights.is_quiet(desk.pool, 1, None)
        assert await preflights.is_quiet(desk.pool, 1, "BTCUSDT")


class TestKeep:
    async def test_replaces_what_was_found_before_and_remembers_since_when_it_stands(self, desk):
        await keep(desk, [FINE, WITHDRAWS, about()])
        before = await asked_of(desk).of(1)
        light = await keep(desk, [replace(FINE, numbers={"ms": "3"}), about(code="LEVERAGE_REFUSED")])
        after = await asked_of(desk).of(1)

        assert [one.code for one in before.checks] == [
            "VENUE_ANSWERS",
            "KEY_MAY_WITHDRAW",
            "LEVERAGE_ABOVE_MAXIMUM",
        ]
        assert before.light_codes == ("KEY_MAY_WITHDRAW", "LEVERAGE_ABOVE_MAXIMUM")
        assert [one.code for one in after.checks] == ["VENUE_ANSWERS", "LEVERAGE_REFUSED"]
        assert (light, after.light, after.checks[0].numbers) == (Light.BLOCKED, Light.BLOCKED, {"ms": "3"})
        assert after.checks[0].since == before.checks[0].since < after.checks[0].checked_at
        assert after.checks[1].since > before.checks[2].since

    async def test_is_told_to_whoever_waited_and_to_nobody_who_asked_later(self, desk):
        port = asked_of(desk)
        first = await port.ask(1, fixes=True)
        [due] = await claimed(desk, only_asked=True)
        second = await port.ask(1, fixes=False)
        await keep(desk, [FINE], due=due)

        assert not await port.is_checked(1, since=second)
        [again] = await claimed(desk, only_asked=True)
        assert (again.asked_at, first < second) == (second, True)

        await keep(desk, [FINE], due=again)

        assert await port.is_checked(1, since=second)
        assert (await claimed(desk, only_asked=True), await port.has_traders()) == ([], False)

    async def test_shows_nothing_of_an_account_nobody_has_looked_at(self, desk):
        found = await asked_of(desk).of(3)

        assert (found.light, found.checked_at, found.checks) == (None, None, [])


class TestObstacles:
    async def test_what_denies_is_read_with_all_that_stands_in_the_way(self, desk):
        await keep(desk, [FINE, WITHDRAWS, about(2)], account_id=1)
        await keep(desk, [about(2), about(2, symbol="ETHUSDT", code="NOTIONAL_ABOVE_BRACKET")], account_id=2)
        own = subscription(2).subscription_id

        assert await obstacles(desk) == {
            (1, None): "KEY_MAY_WITHDRAW",
            (1, own): "LEVERAGE_ABOVE_MAXIMUM",
            (2, own): "LEVERAGE_ABOVE_MAXIMUM",
        }
        assert await obstacles(desk, "ETHUSDT") == {
            (1, None): "KEY_MAY_WITHDRAW",
            (2, own): "NOTIONAL_ABOVE_BRACKET",
        }

    async def test_the_first_of_several_is_the_one_that_is_told(self, desk):
        mode = replace(WITHDRAWS, check=Check.POSITION_MODE, code="POSITION_MODE_DIFFERS")

        await keep(desk, [WITHDRAWS, mode])

        assert await obstacles(desk) == {(1, None): "KEY_MAY_WITHDRAW"}

    async def test_what_denies_nothing_is_left_out(self, desk):
        await keep(desk, [replace(WITHDRAWS, denies=False)])

        [found] = (await PostgresBooks(desk.pool).obstacles({uuid4(): "BTCUSDT"}, account_ids=[1])).values()

        assert (found.grounded, found.foreign, found.unreconciled) == ({}, {}, frozenset())
        assert isinstance(subscription(1).subscription_id, UUID)
