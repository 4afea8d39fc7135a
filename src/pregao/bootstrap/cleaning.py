"""Takes what was entered by hand off the list of what can be sold, when its time is over; at a webhook only."""

import asyncio
from datetime import timedelta

import structlog

from pregao.bootstrap.shared import sell_list_rule
from pregao.domain.clock import Clock
from pregao.edges.ids import uuid7
from pregao.edges.postgres.by_hand import PostgresPositionBooks
from pregao.edges.postgres.journal import Journal
from pregao.positions.by_hand import Note, close_in_books
from pregao.settings import Settings
from pregao.trading.trouble import AWAY, log_away

LOOK_SECONDS = 60.0
EXPIRED = "sell_list_expired"

log = structlog.get_logger()


async def clean_sell_list(settings: Settings, *, journal: Journal, clock: Clock) -> None:
    """Look once a minute, until canceled."""
    while True:
        try:
            await clean_once(settings, journal=journal, clock=clock)
        except AWAY as away:
            log_away("jobs.sell_list.away", away)
        await asyncio.sleep(LOOK_SECONDS)


async def clean_once(settings: Settings, *, journal: Journal, clock: Clock) -> int:
    """Close in the books what was entered by hand too long ago; give how many."""
    now = clock()
    books = PostgresPositionBooks(journal, clock=clock, ring_signals=_nobody)
    async with books.open(owner=None) as book:
        rule = await book.rule() or sell_list_rule(settings)
        if not rule.is_cleaned:
            return 0
        old = await book.entered_before(now - timedelta(hours=rule.lifetime_hours))
        reason = f"lifetime_hours={rule.lifetime_hours}"
        booked = [
            close_in_books(
                Note(signal_id=uuid7(now), booked_by="jobs", reason=reason),
                one,
                close_reason=EXPIRED,
                price=None,
                now=now,
            )
            for one in old
            if one.is_closable_in_books
        ]
        if booked:
            await book.book(booked, source_address="local")
    for one in booked:
        log.info("jobs.sell_list.expired", position_id=one.position.position_id, symbol=one.position.symbol)
    return len(booked)


def _nobody() -> None:
    """Ring for nobody: what is booked needs no decision."""
