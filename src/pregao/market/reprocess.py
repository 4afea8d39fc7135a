"""
Try declined entries again whose ticker entered the list: of each bot the last one, once, and if nothing speaks against it.

What is tried again is a signal of the screener's own: it is decided like all others, and both have their receipts.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from pregao.domain.facts import BuyReprocessed, Fact, SignalAccepted, SignalReceived
from pregao.domain.order import Side
from pregao.domain.screener import Reprocessed, Strategy
from pregao.domain.signal import Action, Instruction
from pregao.market.ports import DeclinedBuy, ScreenerBook
from pregao.market.refusals import ConflictError
from pregao.market.universe import ranked

SOURCE = "screener"
SEND_SECONDS = 60  # as young as the list: the time it took to enter is not its age
PER_TICKER_MAX = 50


async def reprocess(
    entered: Sequence[str],
    *,
    strategy: Strategy,
    book: ScreenerBook,
    new_id: Callable[[datetime], UUID],
    now: datetime,
) -> list[Fact]:
    """Give what became of the declined entries in the tickers that entered; nothing where the strategy does not ask."""
    if not strategy.reprocess_enabled or not entered:
        return []
    window = strategy.reprocess_window_seconds
    since = now - timedelta(seconds=window) if window else None
    declined = await book.declined_buys(entered, since=since, per_ticker_max=PER_TICKER_MAX)
    facts: list[Fact] = []
    seen: set[tuple[UUID, str]] = set()
    for buy in declined:  # the newest first
        if (buy.bot_id, buy.ticker) in seen:
            continue
        seen.add((buy.bot_id, buy.ticker))
        if not buy.was_tried_again:
            facts += _tried_again(buy, strategy=strategy, new_id=new_id, now=now)
    return facts


async def reprocess_by_hand(
    tickers: Sequence[str],
    *,
    window_seconds: int,
    book: ScreenerBook,
    new_id: Callable[[datetime], UUID],
    now: datetime,
) -> list[Fact]:
    """
    Try the last declined entries in these tickers again now, as far as they are on the list; each is tried once.

    :raises ConflictError: when no strategy is active, or no list stands.
    """
    strategy, standing = await book.find_active(), await book.lock_list()
    if strategy is None or standing is None:
        raise ConflictError("STRATEGY_MISSING", "No strategy is active, or its first list is not there yet.")
    asked = replace(strategy, reprocess_enabled=True, reprocess_window_seconds=window_seconds)
    wanted = ranked(tickers, top_n=len(tickers))
    on_it = [ticker for ticker in standing.tickers if ticker in wanted]
    return await reprocess(on_it, strategy=asked, book=book, new_id=new_id, now=now)


def outcome_of(buy: DeclinedBuy, *, strategy: Strategy, now: datetime) -> Reprocessed:
    """Say what becomes of a declined entry; a sell after it says that it is over, and what is held is not bought again."""
    if buy.is_held:
        return Reprocessed.SKIPPED_POSITION_EXISTS
    if strategy.respect_sell_chronology and _is_sold_since(buy, strategy=strategy, now=now):
        return Reprocessed.SKIPPED_SELL_CHRONOLOGY
    return Reprocessed.SUCCESS


def _is_sold_since(buy: DeclinedBuy, *, strategy: Strategy, now: datetime) -> bool:
    window = timedelta(seconds=strategy.sell_chronology_window_seconds)
    return any(
        not window or sold_at - buy.received_at <= window or now - sold_at <= window
        for sold_at in buy.sold_at
    )


def _tried_again(
    buy: DeclinedBuy, *, strategy: Strategy, new_id: Callable[[datetime], UUID], now: datetime
) -> list[Fact]:
    outcome = outcome_of(buy, strategy=strategy, now=now)
    again_as = new_id(now) if outcome is Reprocessed.SUCCESS else None
    told = BuyReprocessed(
        happened_at=now,
        signal_id=buy.signal_id,
        bot_id=buy.bot_id,
        ticker=buy.ticker,
        outcome=outcome,
        again_as=again_as,
    )
    if again_as is None:
        return [told]
    asked = {"action": "buy", "ticker": buy.symbol, "reprocessed_signal_id": str(buy.signal_id)}
    received = SignalReceived(
        happened_at=now,
        signal_id=again_as,
        bot_id=buy.bot_id,
        body=json.dumps(asked).encode(),
        content_type="application/json",
        source=SOURCE,
        source_address="local",
        dedupe_key=f"reprocessed:{buy.signal_id}",
        is_explicit_id=True,
    )
    instruction = Instruction(
        action=Action.ENTER,
        symbol=buy.symbol,
        side=Side.BUY,
        share=None,
        price=buy.price,
        send_before=now + timedelta(seconds=SEND_SECONDS),
    )
    accepted = SignalAccepted(happened_at=now, signal_id=again_as, bot_id=buy.bot_id, instruction=instruction)
    return [told, received, accepted]
