"""F107, F121, F122 over PostgreSQL: told once, carried at least once, in order, again after failures, and elsewhere at last."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pregao.alerts.configure import try_channels
from pregao.alerts.deliver import Delivering
from pregao.alerts.ports import ChannelError, Queued
from pregao.alerts.tell import Telling
from pregao.domain.alert import AlertKind, AlertLevel, ChannelKind, Mute
from pregao.domain.facts import (
    AccountConfigured,
    AlertAcknowledged,
    AlertLevelSet,
    AlertRaised,
    AlertsMuted,
    AlertsUnmuted,
    BotConfigured,
    ChannelConfigured,
    ChannelForgotten,
    PositionChanged,
    StopUnusable,
)
from pregao.edges.ids import uuid7
from pregao.edges.postgres.alert_work import PostgresOutbox, PostgresTelling
from pregao.edges.postgres.alerts import PostgresAlertBooks, PostgresAlerts, queue
from pregao.edges.postgres.journal import desk_id
from pregao.edges.postgres.rebuild import compare_with_journal
from pregao.edges.postgres.workers import Lease, Workers
from pregao.edges.vault.envelope import EnvelopeVault
from tests.builders import (
    BOT_ID,
    NOON,
    account,
    alert,
    bot,
    channel,
    closed,
    held,
    state_set,
    unguarded,
)

ANA = UUID(int=1_001)
AWAY = ChannelError("CHANNEL_AWAY", "status=503. It failed.", is_final=False)
GONE = ChannelError("CHANNEL_REFUSED", "status=401. Its token is no good.", is_final=True)
BAD = ChannelError("MESSAGE_REFUSED", "status=400. It does not take this message.", is_final=True)


@dataclass
class ScriptedChannel:
    """Takes messages by their channel's address; raises what it is told to, or never answers."""

    told: list = field(default_factory=list)  # (address, title)
    troubles: dict = field(
        default_factory=dict
    )  # by address: what it raises, first to last, or once and for ever
    asked: list = field(default_factory=list)

    async def __call__(self, message, *, address):
        name = address["webhook_url"]
        self.asked.append(name)
        trouble = self.troubles.get(name)
        if isinstance(trouble, list):
            trouble = trouble.pop(0) if trouble else None
        if isinstance(trouble, Exception):
            raise trouble
        if trouble == "silence":
            await asyncio.sleep(60)
        self.told.append((name, message.title))


class Desk:
    """A desk's alerts, and one process that does the jobs."""

    def __init__(self, journal, vault):
        self.journal = journal
        self.vault = vault
        self.service = ScriptedChannel()
        self.books = PostgresAlertBooks(journal, vault=vault, ring=lambda: None)
        self.views = PostgresAlerts(journal.pool, level=AlertLevel.WARNING)
        self.now = NOON
        self.seconds = 0.0

    async def start(self, name="jobs-1", *, waits=(0.0, 0.0), send_seconds_max=15.0):
        self.lease = await Workers(self.journal.pool).enter(worker_id=name, role="jobs")
        work = PostgresTelling(self.journal, self.lease, level=AlertLevel.WARNING)
        assert await work.hold()
        self.telling = Telling(work, new_id=uuid7, clock=lambda: self.now, monotonic=lambda: self.seconds)
        self.outbox = PostgresOutbox(self.journal, self.lease, vault=self.vault)
        self.delivering = Delivering(
            self.outbox,
            {ChannelKind.DISCORD: self.service},
            new_id=uuid7,
            clock=lambda: self.now,
            warn=lambda *_args, **_keys: None,
            waits=waits,
            send_seconds_max=send_seconds_max,
        )
        return self

    async def die(self):
        """Let the lease run out, as of a process that was killed."""
        await self.journal.pool.execute("UPDATE leases SET lease_until = clock_timestamp() - interval '1 s'")

    async def put(self, *facts):
        async with self.journal.transaction() as transaction:
            await transaction.append(facts)

    async def add(self, *channels):
        """Set channels up; each one's address is its name."""
        async with self.books.open(owner=None) as book:
            for one in channels:
                await book.keep_address(one.channel_id, {"webhook_url": one.name})
                await book.append([ChannelConfigured(happened_at=NOON, channel=one)])

    async def raise_for(self, *alerts, channel_ids=(1,)):
        """Put alerts on their way as the loop does."""
        async with self.journal.transaction() as transaction:
            await transaction.append([AlertRaised(happened_at=NOON, alert=one) for one in alerts])
            queued = [Queued(alert=one, channel_id=number) for one in alerts for number in channel_ids]
            await queue(transaction.connection, queued)

    async def look(self):
        """Read the journal to its end, whatever other databases of the server are doing."""
        async with asyncio.timeout(30):
            while await self._unread():
                await self.telling.look()
                await asyncio.sleep(0.01)
        self.now += timedelta(seconds=1)

    async def _unread(self):
        return await self.journal.pool.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM journal, alert_cursor AS c
                WHERE (journal.epoch, journal.xid, journal.seq) > (c.epoch, c.xid, c.seq)
                  AND journal.kind NOT LIKE 'Alert%' AND journal.kind <> 'ChannelConfigured')
            """
        )

    async def alerts(self, owner=None):
        lines = await self.views.alerts(
            owner=owner, level=None, kind=None, is_acknowledged=None, before=None, limit=100
        )
        return list(reversed(lines))

    async def titles(self, owner=None):
        return [line.alert.title for line in await self.alerts(owner)]

    async def statuses(self):
        rows = await self.journal.pool.fetch(
            "SELECT alert_id, channel_id, status FROM alert_deliveries ORDER BY alert_id, channel_id"
        )
        return {(row["alert_id"].int, row["channel_id"]): row["status"] for row in rows}


@pytest.fixture
async def desk(journal):
    vault = EnvelopeVault(os.urandom(32), desk_id=await desk_id(journal))
    return await Desk(journal, vault).start()


class TestTelling:
    async def test_f107_tells_each_fact_once_and_puts_it_on_its_way_in_the_same_transaction(self, desk):
        await desk.add(channel(1), channel(2, level=AlertLevel.CRITICAL), channel(3, is_standby=True))
        await desk.put(unguarded(1), state_set())
        await desk.look()
        await desk.put(unguarded(2))
        await desk.look()
        await desk.telling.look()

        raised = await desk.alerts()
        heard = [[one.channel_id for one in line.deliveries] for line in raised]

        assert [line.alert.kind for line in raised] == [
            "position_unguarded",
            "trading_state",
            "position_unguarded",
        ]
        assert heard == [[1, 2], [1], [1, 2]]

    async def test_f107_leaves_nothing_half_done_when_it_ends_in_the_middle(self, desk):
        await desk.add(channel(1))
        await desk.put(unguarded(1))
        work = PostgresTelling(desk.journal, desk.lease, level=AlertLevel.WARNING)

        async def half() -> None:
            async with work.open() as book:
                async with asyncio.timeout(30):
                    # Another database's transaction may hold the end of the journal back.
                    while not await book.next_facts(limit=10):
                        pass
                await book.append([AlertRaised(happened_at=NOON, alert=alert(7))])
                await book.queue([Queued(alert=alert(7), channel_id=1)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await half()

        assert await desk.alerts() == []
        await desk.look()
        assert [line.alert.kind for line in await desk.alerts()] == ["position_unguarded"]

    async def test_reads_nothing_twice_when_a_transaction_ends_late(self, desk):
        """The one that began first commits last: its facts have smaller numbers and are told all the same."""
        async with desk.journal.transaction() as late:
            await late.append([unguarded(1)])
            await desk.put(unguarded(2))
            await desk.telling.look()
        await desk.look()

        positions = [line.alert.numbers["position"] for line in await desk.alerts()]
        assert sorted(positions) == ["1", "2"]

    async def test_is_done_by_one_process_at_a_time(self, desk):
        await desk.put(unguarded(1))
        first = desk.telling
        await desk.die()
        await desk.start("jobs-2")

        await first.look()
        assert await desk.alerts() == []
        await desk.look()
        assert len(await desk.alerts()) == 1

    async def test_f122_tells_the_same_trouble_once_in_ten_minutes_and_then_how_often(self, desk):
        await desk.add(channel(1))
        for minute in (0, 1, 2, 11):
            desk.now = NOON + timedelta(minutes=minute)
            await desk.put(*(stop_unusable(number, at=desk.now) for number in (1, 2)))
            await desk.look()

        assert [line.alert.repeats for line in await desk.alerts()] == [0, 0, 2, 2]

    async def test_tells_owners_of_their_own_and_the_desk_of_everything(self, desk):
        await desk.add(channel(1, level=AlertLevel.INFO), channel(2, user_id=ANA, level=AlertLevel.INFO))
        await desk.put(
            BotConfigured(happened_at=NOON, bot=bot()),
            AccountConfigured(happened_at=NOON, account=account(1, user_id=ANA)),
            AccountConfigured(happened_at=NOON, account=account(2)),
            *(PositionChanged(happened_at=NOON, position=lost(number)) for number in (1, 2)),
        )
        await desk.look()

        [own] = await desk.alerts(ANA)
        [together] = await desk.alerts()
        assert own.alert.account_id == 1
        assert [one.channel_id for one in own.deliveries] == [2]
        assert (together.alert.numbers["positions"], together.alert.bot_id) == ("2", BOT_ID)
        assert [one.channel_id for one in together.deliveries] == [1]

    async def test_writes_no_row_for_trades_that_nobody_wants_to_hear_of(self, desk):
        await desk.put(
            AccountConfigured(happened_at=NOON, account=account(1, user_id=ANA)),
            *(PositionChanged(happened_at=NOON, position=won(number)) for number in range(1, 51)),
        )
        await desk.look()

        assert await desk.journal.pool.fetchval("SELECT count(*) FROM alerts") == 0

    async def test_keeps_what_is_muted_and_sends_it_to_nobody(self, desk):
        await desk.add(channel(1))
        quiet = Mute(
            mute_id=UUID(int=5), user_id=None, kind=AlertKind.TRADING_STATE, level_max=AlertLevel.ERROR,
            until=NOON + timedelta(hours=1), reason="at work", muted_by="ana",
        )  # fmt: skip
        await desk.put(AlertsMuted(happened_at=NOON, mute=quiet))
        await desk.put(state_set(), unguarded(1))
        await desk.look()
        await desk.delivering.deliver()

        assert [one.status for line in await desk.alerts() for one in line.deliveries] == ["muted", "sent"]

    async def test_f120_tells_of_what_stands_and_when_it_is_over(self, desk):
        await desk.journal.pool.execute(
            """
            INSERT INTO breakers (scope, name, state, failure_count, success_count, half_open_calls, told_by)
            VALUES ('service', 'paper', 'open', 3, 0, 0, 'trader-1')
            """
        )
        await desk.journal.pool.execute("UPDATE screener_looks SET failures = 3, code = 'SCREENER_REFUSED'")
        await desk.add(channel(1, level=AlertLevel.INFO))
        for second in (0, 6, 12):
            desk.seconds = second
            await desk.telling.look()
        await desk.journal.pool.execute("UPDATE breakers SET state = 'closed'")
        desk.seconds = 18
        await desk.telling.look()

        told = [(line.alert.kind, line.alert.level) for line in await desk.alerts()]
        assert sorted(told) == [
            ("breaker_open", "ERROR"), ("breaker_open", "INFO"), ("screener_failing", "WARNING"),
        ]  # fmt: skip

    async def test_tells_of_a_process_that_ended_without_a_word(self, desk):
        await desk.journal.pool.execute(
            """
            INSERT INTO workers (worker_id, role, lease_epoch, lease_until)
            VALUES ('trader-1', 'trader', 1, clock_timestamp() - interval '20 s')
            """
        )
        await desk.telling.look()

        [line] = await desk.alerts()
        assert (line.alert.kind, line.alert.level) == ("worker_dead", "CRITICAL")
        assert line.alert.numbers == {"role": "trader"}

    async def test_says_nothing_of_a_process_that_was_told_to_stop(self, desk):
        """It hung, and was cut off before it could give its lease up; a restart that somebody wanted calls nobody."""
        await desk.journal.pool.execute(
            """
            INSERT INTO workers (worker_id, role, lease_epoch, lease_until)
            VALUES ('trader-1', 'trader', 1, clock_timestamp() - interval '20 s'),
                   ('trader-2', 'trader', 2, clock_timestamp() - interval '20 s')
            """
        )
        await Workers(desk.journal.pool).note_stopping(Lease(worker_id="trader-1", lease_epoch=1))

        await desk.telling.look()

        [line] = await desk.alerts()
        assert line.alert.title == "trader-2 ended without a word"

    async def test_goes_on_into_a_new_epoch(self, desk):
        """A cleared desk starts another; what was not told of the last one is told first."""
        await desk.put(unguarded(1))
        await desk.journal.pool.execute("UPDATE desk SET epoch = epoch + 1")
        await desk.put(unguarded(2))
        await desk.look()

        assert [line.alert.numbers["position"] for line in await desk.alerts()] == ["1", "2"]

    async def test_everything_is_the_fold_of_the_journal(self, desk):
        await desk.add(channel(1), channel(2))
        await desk.put(unguarded(1))
        await desk.look()
        [line] = await desk.alerts()
        quiet = Mute(
            mute_id=UUID(int=5), user_id=ANA, kind=None, level_max=AlertLevel.ERROR, until=NOON, reason="",
            muted_by="ana",
        )  # fmt: skip
        await desk.put(
            AlertAcknowledged(happened_at=NOON, alert_id=line.alert.alert_id, acknowledged_by="ana"),
            AlertAcknowledged(happened_at=NOON, alert_id=line.alert.alert_id, acknowledged_by="bruno"),
            AlertsMuted(happened_at=NOON, mute=quiet),
            AlertsMuted(happened_at=NOON, mute=replace(quiet, mute_id=UUID(int=6))),
            AlertsUnmuted(happened_at=NOON, mute_id=quiet.mute_id, unmuted_by="ana"),
            ChannelForgotten(happened_at=NOON, channel_id=2),
            AlertLevelSet(happened_at=NOON, level=AlertLevel.ERROR, set_by="ana"),
        )

        assert (await compare_with_journal(desk.journal)).differences == ()
        [line] = await desk.alerts()
        assert line.acknowledged_by == "ana"


def stop_unusable(number, *, at):
    return StopUnusable(
        happened_at=at, position_id=number, account_id=1, signal_id=UUID(int=1), code="REFUSED", reason="No."
    )


def lost(number):
    return replace(closed(held(position_id=number), pnl="-1"), account_id=number)


def won(number):
    return replace(closed(held(position_id=number), pnl="1"), account_id=1)


class TestDelivering:
    async def test_f121_carries_to_all_channels_and_one_that_fails_stops_no_other(self, desk):
        await desk.add(channel(1), channel(2), channel(3))
        desk.service.troubles = {"channel 1": AWAY, "channel 2": "silence"}
        await desk.start("jobs-1", waits=(60.0,), send_seconds_max=0.3)
        await desk.raise_for(alert(1), channel_ids=(1, 2, 3))

        await desk.delivering.deliver()

        [line] = await desk.alerts()
        results = [(one.status, one.code, one.attempts) for one in line.deliveries]
        assert results == [("due", "CHANNEL_AWAY", 1), ("due", "CHANNEL_AWAY", 1), ("sent", None, 1)]

    async def test_f122_tries_again_and_sends_once_then(self, desk):
        await desk.add(channel(1))
        desk.service.troubles = {"channel 1": [AWAY, AWAY]}
        await desk.raise_for(alert(1))

        for _ in range(4):
            await desk.delivering.deliver()

        assert desk.service.told == [("channel 1", "alert 1")]
        assert len(desk.service.asked) == 3

    async def test_f122_waits_as_long_as_a_busy_channel_asks(self, desk):
        await desk.add(channel(1))
        busy = ChannelError("CHANNEL_BUSY", "status=429.", is_final=False, retry_seconds=120)
        desk.service.troubles = {"channel 1": [busy]}
        await desk.raise_for(alert(1), alert(2))

        for _ in range(3):
            await desk.delivering.deliver()

        assert desk.service.asked == ["channel 1"]
        seconds = await desk.journal.pool.fetch(
            "SELECT extract(epoch FROM due_at - clock_timestamp()) FROM alert_deliveries"
        )
        assert all(100 < row[0] <= 120 for row in seconds)

    async def test_f122_goes_on_over_the_next_channel_when_one_finally_fails(self, desk):
        await desk.add(channel(1), channel(2, is_standby=True), channel(3, is_standby=True))
        desk.service.troubles = {"channel 1": AWAY, "channel 2": GONE}
        await desk.raise_for(alert(1))

        for _ in range(5):
            await desk.delivering.deliver()

        assert await desk.statuses() == {(1, 1): "failed", (1, 2): "failed", (1, 3): "sent"}
        assert desk.service.asked == ["channel 1"] * 3 + ["channel 2", "channel 3"]
        [line] = await desk.alerts()
        assert [one.is_escalation for one in line.deliveries] == [False, True, True]

    async def test_refuses_one_message_and_takes_the_next(self, desk):
        await desk.add(channel(1))
        desk.service.troubles = {"channel 1": [BAD]}
        await desk.raise_for(alert(1), alert(2))

        await desk.delivering.deliver()

        assert await desk.statuses() == {(1, 1): "failed", (2, 1): "sent"}

    async def test_asks_a_channel_that_is_gone_once_for_all_that_waits(self, desk):
        await desk.add(channel(1))
        desk.service.troubles = {"channel 1": GONE}
        await desk.raise_for(*(alert(number) for number in range(1, 11)))

        await desk.delivering.deliver()

        assert desk.service.asked == ["channel 1"]
        assert set((await desk.statuses()).values()) == {"failed"}

    async def test_f107_keeps_the_order_of_a_subject_while_the_first_waits(self, desk):
        await desk.start("jobs-1", waits=(60.0,))
        await desk.add(channel(1))
        desk.service.troubles = {"channel 1": [AWAY]}
        await desk.raise_for(alert(1, subject="desk"))
        await desk.delivering.deliver()
        await desk.raise_for(
            alert(2, subject="desk", level=AlertLevel.CRITICAL), alert(3, subject="account:1")
        )

        await desk.delivering.deliver()
        assert desk.service.told == [("channel 1", "alert 3")]
        await desk.journal.pool.execute("UPDATE alert_deliveries SET due_at = clock_timestamp()")
        await desk.delivering.deliver()

        assert [title for _, title in desk.service.told] == ["alert 3", "alert 1", "alert 2"]

    async def test_f122_sends_a_summary_instead_of_a_flood(self, desk):
        await desk.add(channel(1, per_minute_max=4))
        await desk.raise_for(*(alert(number) for number in range(1, 101)))

        for _ in range(3):
            await desk.delivering.deliver()

        assert [title for _, title in desk.service.told] == ["alert 1", "alert 2", "98 alerts at once"]
        assert set((await desk.statuses()).values()) == {"sent"}
        await desk.raise_for(*(alert(number) for number in range(101, 104)))
        for _ in range(3):
            await desk.delivering.deliver()
        assert [title for _, title in desk.service.told][3:] == ["3 alerts at once"]
        await desk.raise_for(alert(104))
        await desk.delivering.deliver()
        assert len(desk.service.told) == 4  # the minute's messages are used up: it waits

    async def test_f107_sends_again_what_a_dead_process_may_not_have_sent(self, desk):
        """Sent, and killed before that was written: at least once."""
        await desk.add(channel(1))
        await desk.raise_for(alert(1))
        [batch] = await desk.outbox.claim(per_channel_max=10)
        assert len(batch.deliveries) == 1
        assert await desk.outbox.claim(per_channel_max=10) == []  # claimed: nobody takes it meanwhile

        await desk.die()
        await desk.start("jobs-2")
        await desk.delivering.deliver()

        assert desk.service.told == [("channel 1", "alert 1")]

    async def test_gives_up_what_waits_at_a_channel_that_is_switched_off(self, desk):
        await desk.add(channel(1))
        await desk.raise_for(alert(1))
        await desk.put(ChannelConfigured(happened_at=NOON, channel=channel(1, is_active=False)))

        await desk.delivering.deliver()

        [line] = await desk.alerts()
        assert [(one.status, one.code) for one in line.deliveries] == [("failed", "CHANNEL_OFF")]

    async def test_says_so_when_an_address_cannot_be_opened(self, desk):
        await desk.add(channel(1))
        desk.vault = EnvelopeVault(os.urandom(32), desk_id=await desk_id(desk.journal))
        await desk.start("jobs-1")
        await desk.raise_for(alert(1))

        await desk.delivering.deliver()

        [line] = await desk.alerts()
        assert [(one.status, one.code) for one in line.deliveries] == [("failed", "CHANNEL_SEALED")]

    async def test_f122_a_test_is_tried_once_and_passes_levels_and_mutes(self, desk):
        await desk.add(channel(1, level=AlertLevel.CRITICAL), channel(2, is_standby=True))
        desk.service.troubles = {"channel 1": AWAY}
        async with desk.books.open(owner=None) as book:
            await try_channels(
                "channel 1",
                alert_id=uuid7(datetime.now(UTC)),
                user_id=None,
                title="A test",
                text="",
                level=AlertLevel.INFO,
                book=book,
                now=NOON,
            )

        await desk.delivering.deliver()

        [line] = await desk.alerts()
        assert [(one.channel_id, one.status, one.code) for one in line.deliveries] == [
            (1, "failed", "CHANNEL_AWAY")
        ]
