"""Who may still ask when a minute's weight runs out, and what never waits for a slice of it."""

import asyncio

import pytest

from pregao.domain.clock import to_ms
from pregao.domain.venue import RetryLater
from pregao.domain.weight import Drawn, Importance, asking_for, importance_of
from pregao.edges.exchanges.binance.limits import DEBT_SHARE, SLICE, Limits
from tests.edges.exchanges.scripted_venue import NOON

NOW = to_ms(NOON)
MINUTE = NOW // 60_000
EXITS, ENTRIES, BOOKS, REST = Importance


class Budget:
    """A budget that gives what it is asked, when it may, and remembers."""

    def __init__(self, *, drawn_by_others=0):
        self.asked = []
        self.pauses = []
        self.drawn = drawn_by_others
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_away = False

    async def draw(self, *, minute, asked, used, weight_max, limit):
        self.asked.append(asked)
        await self.answers.wait()
        if self.is_away:
            raise ConnectionRefusedError
        granted = min(asked, max(0, limit - self.drawn))
        self.drawn += granted
        return Drawn(minute=minute, granted=granted, drawn=self.drawn, paused_seconds=0)

    def pause(self, seconds):
        self.pauses.append(seconds)

    def follow(self, adopt):
        self.adopt = adopt


async def take(limits, weight, importance, *, hurries=None, now_ms=NOW):
    hurries = importance is EXITS if hurries is None else hurries
    await limits.take(weight, importance=importance, hurries=hurries, now_ms=now_ms)


async def used_up_by(limits, importance):
    """Ask until no more is allowed, and give how much it was."""
    used = 0
    while True:
        try:
            await take(limits, 5, importance)
        except RetryLater:
            return used
        used += 5


class TestImportance:
    async def test_reads_are_shed_first_and_exits_last(self):
        limits = Limits(weight_max=1_000)

        assert await used_up_by(limits, REST) == 450
        assert await used_up_by(limits, BOOKS) == 300
        assert await used_up_by(limits, ENTRIES) == 130
        assert await used_up_by(limits, EXITS) == 70

    async def test_is_that_of_the_question_or_of_what_it_is_asked_for(self):
        assert importance_of(EXITS) is EXITS
        with asking_for(BOOKS):
            assert importance_of(EXITS) is BOOKS
            assert importance_of(REST) is REST
            assert await asyncio.create_task(_importance()) is BOOKS
        assert importance_of(EXITS) is EXITS

    async def test_says_when_to_ask_again(self):
        limits = Limits(weight_max=100)
        await used_up_by(limits, REST)

        with pytest.raises(RetryLater) as told:
            await take(limits, 5, REST, now_ms=NOW + 45_000)

        assert told.value.retry_after_seconds == 15

    async def test_counts_what_others_have_drawn(self):
        limits = Limits(weight_max=1_000, budget=Budget(drawn_by_others=440))

        assert await used_up_by(limits, REST) == 10


class TestSlices:
    async def test_are_drawn_together_and_seldom(self):
        budget = Budget()
        limits = Limits(weight_max=1_000, budget=budget)
        await asyncio.gather(*(take(limits, 1, REST) for _ in range(SLICE)))

        assert budget.asked == [SLICE]

    async def test_are_not_waited_for_by_what_exits_hang_on(self):
        budget = Budget()
        budget.answers.clear()
        limits = Limits(weight_max=2_000, budget=budget)
        async with asyncio.timeout(0.2):
            for _ in range(3):
                await take(limits, 5, EXITS)
            await take(limits, 5, BOOKS, hurries=True)
        await asyncio.sleep(0)
        budget.answers.set()
        await limits.close()

        assert budget.asked == [SLICE]

    async def test_are_waited_for_by_most_of_a_burst_and_drawn_for_all_of_it(self):
        """Hundreds that hurry would each pass on what was known before any of them."""
        budget = Budget(drawn_by_others=900)
        limits = Limits(weight_max=1_000, budget=budget)
        told = await asyncio.gather(*(take(limits, 1, EXITS) for _ in range(400)), return_exceptions=True)

        assert told.count(None) <= 50 + 1_000 * DEBT_SHARE
        assert len(budget.asked) <= len(Importance)

    async def test_are_done_without_when_the_database_is_away(self):
        budget = Budget()
        budget.is_away = True
        limits = Limits(weight_max=1_000, budget=budget)

        assert await used_up_by(limits, REST) == 450

    async def test_that_come_late_hold_a_question_up_for_half_a_second_at_most(self):
        budget = Budget()
        budget.answers.clear()
        limits = Limits(weight_max=1_000, budget=budget)
        async with asyncio.timeout(1):
            await take(limits, 5, REST)
        await limits.close()

    async def test_are_gone_with_their_minute(self):
        budget = Budget()
        limits = Limits(weight_max=1_000, budget=budget)
        await take(limits, 5, REST)
        await take(limits, 5, REST, now_ms=NOW + 60_000)

        assert budget.asked == [SLICE, SLICE]


class TestPause:
    def test_is_told_to_the_others_but_not_an_accounts_own(self):
        budget = Budget()
        limits = Limits(budget=budget)
        limits.pause(10, now_ms=NOW, account_id=7)
        limits.pause(30, now_ms=NOW)

        assert budget.pauses == [30]

    def test_of_another_process_is_kept_and_not_told_again(self):
        budget = Budget()
        limits = Limits(budget=budget)
        limits.adopt(Drawn(minute=MINUTE, granted=0, drawn=0, paused_seconds=20), now_ms=NOW)

        with pytest.raises(RetryLater, match="VENUE_PAUSED"):
            limits.check_pause(account_id=None, now_ms=NOW + 19_000)
        limits.check_pause(account_id=None, now_ms=NOW + 20_000)
        assert budget.pauses == []


async def _importance():
    return importance_of(EXITS)
