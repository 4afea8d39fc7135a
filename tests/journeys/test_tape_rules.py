"""
The recorded LTCUSDT tape, three bots and twenty accounts with rules and limits of their own, random alerts: the
ledger, the receipts and the venue's books agree to the last decimal, and no limit is ever exceeded.

The alerts of the suite are few; PREGAO_TAPE_ALERTS=2000 plays it long, and PREGAO_TAPE_SEED plays other ones.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from pregao.domain.bot import OppositeSide, SameSide
from pregao.domain.facts import SignalAccepted
from pregao.domain.order import PositionMode
from pregao.edges.postgres.journal import decode
from tests.journeys.tape_alerts import DISABLED_SYMBOL, KINDS, OTHER_SYMBOLS, RESENT, Alert, Writer
from tests.journeys.tape_books import Books, check_all, check_places_at_venue, check_wallets, read_books
from tests.journeys.tape_desk import (
    BOT_WEIGHTS,
    DISTURBANCES,
    SOL_PLACES,
    USER_PLACES,
    TapeDesk,
    set_prices,
    tape_desk,
)
from tests.journeys.tape_limits import WITNESS, Replay, check_limits
from tests.journeys.whole_desk import LTC_TAPE

ALERTS = int(os.environ.get("PREGAO_TAPE_ALERTS", "200"))
SEED = int(os.environ.get("PREGAO_TAPE_SEED", "20250621"))
LENGTH = max(1, ALERTS // 200)
IS_LONG = ALERTS >= 1_000  # so much that everything must have happened
IN_FLIGHT = 5
LATER_ALERTS = 20  # a copy that comes later comes after so many others: well within the minute it is known
REST_SECONDS_MAX = 60.0
TRIES_MAX = 5
PRICES_SECONDS = 0.25

UNFINISHED = """
SELECT 'signal ' || concat_ws(' ', signal_id, status, action, orders_live) FROM signals WHERE settled_at IS NULL
UNION ALL
SELECT 'order ' || concat_ws(' ', order_id, account_id, symbol, leg, attempt, status, code, quantity, filled_quantity)
FROM orders WHERE status IN ('deferred', 'planned', 'unresolved', 'accepted', 'partially_filled')
UNION ALL
SELECT 'position ' || concat_ws(' ', position_id, account_id, symbol, status, entered_quantity, exited_quantity)
FROM positions WHERE status IN ('pending', 'closing')
"""


def say(line: str) -> None:
    """Show up where the test fails: the seed plays the run again."""
    print(line)  # noqa: T201


@dataclass(slots=True)
class Sent:
    """An alert, and what each of its copies was answered."""

    alert: Alert
    body: str
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    was_put_off: bool = False

    @property
    def signal_id(self) -> str:
        status, answer = self.answers[0]
        told: str = answer["signal_id"] if status < 400 else answer["error"]["details"]["signal_id"]
        return told


@pytest.mark.long
@pytest.mark.skipif(not LTC_TAPE.exists(), reason="the recorded tape is not beside this checkout")
class TestTheTapeWithRules:
    async def test_f055_all_books_agree_and_no_limit_is_ever_exceeded(self, database, tmp_path):
        say(f"PREGAO_TAPE_SEED={SEED} PREGAO_TAPE_ALERTS={ALERTS}")
        await _add_witness(database)
        async with tape_desk(database, tmp_path, seed=SEED, length=LENGTH) as tape:
            balances = await _balances(tape)
            began = time.monotonic()
            sent = await _send_all(tape)
            say(f"sent in {time.monotonic() - began:.1f} s")
            await _come_to_rest(tape)
            say(f"at rest after {time.monotonic() - began:.1f} s")
            signal_ids = [one.signal_id for one in sent]
            books = await read_books(tape, signal_ids=signal_ids)
            _check_answers(sent, books)
            check_all(books)

            closed = await _close_everything(tape)
            say(f"flat after {time.monotonic() - began:.1f} s")
            books = await read_books(tape, signal_ids=[*signal_ids, *closed])
            check_all(books)
            check_wallets(books, balances=balances)
            most = check_places_at_venue(books, tape)
            say(f"most places held at once, by the venue's fills: {most}")
            listings = tape.desk.paper.venue.listings
            replay = await check_limits(
                tape.journal,
                instruments={symbol: listing.instrument for symbol, listing in listings.items()},
                say=say,
            )
            await _check_readings(tape, sent)
            await _check_no_circles(tape)
            say(f"books compared after {time.monotonic() - began:.1f} s")

        _check_that_much_was_sent(sent)
        _check_that_much_happened(tape, books, replay, most)


async def _add_witness(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("SET search_path = pregao")
    await connection.execute(WITNESS)
    await connection.close()


async def _balances(tape: TapeDesk) -> dict[int, Decimal]:
    return {number: Decimal(account["wallet_balance"]) for number, account in (await tape.books()).items()}


# --- send -------------------------------------------------------------------------------------------------


async def _send_all(tape: TapeDesk) -> list[Sent]:
    """Send the alerts, a few at a time, while prices move and the desk is disturbed."""
    writer = Writer(random.Random(f"{SEED}/alerts"), bot_weights=BOT_WEIGHTS)
    alerts = [writer.next() for _ in range(ALERTS)]
    waiting = iter(enumerate(alerts))
    disturbances = [(int(part * ALERTS), disturb) for part, disturb in DISTURBANCES]
    sent: list[Sent] = []

    later: deque[tuple[int, Sent]] = deque()

    async def send_some() -> None:
        for number, alert in waiting:
            while disturbances and disturbances[0][0] <= number:
                await disturbances.pop(0)[1](tape)
            while later and later[0][0] <= number:
                await _post(tape, later.popleft()[1])
            sent.append(one := await _send(tape, alert))
            if alert.resent == "later":
                later.append((number + LATER_ALERTS, one))

    moving = asyncio.create_task(_move_prices(tape))
    try:
        await asyncio.gather(*(send_some() for _ in range(IN_FLIGHT)))
        for _, one in later:
            await _post(tape, one)
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
    return sent


async def _send(tape: TapeDesk, alert: Alert) -> Sent:
    one = Sent(alert, alert.write(datetime.now(UTC)))
    if alert.resent == "at_once":
        await asyncio.gather(*(_post(tape, one) for _ in range(alert.copies)))
    else:
        for _ in range(alert.copies - (alert.resent == "later")):
            await _post(tape, one)
    return one


async def _post(tape: TapeDesk, one: Sent) -> None:
    """Post as TradingView does: what is told to come again does, and what met a connection just being closed."""
    bot = tape.bots[one.alert.bot]
    path = f"/api/v1/bots/webhook/master/{bot['webhook_path']}"
    given = {"headers": {"X-Pregao-Secret": bot["secret"]}} if one.alert.secret_in_header else {}
    given = given or {"params": {"secret": bot["secret"]}}
    for _ in range(TRIES_MAX):
        with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
            answer: httpx.Response = await tape.desk.client.post(path, content=one.body.encode(), **given)
            if answer.status_code != 503:
                one.answers.append((answer.status_code, answer.json()))
                return
        one.was_put_off = True
        await asyncio.sleep(1)
    raise AssertionError(f"put off {TRIES_MAX} times: {one}")


async def _move_prices(tape: TapeDesk) -> None:
    chance = random.Random(f"{SEED}/prices")
    prices = {symbol: Decimal(price) for symbol, price in OTHER_SYMBOLS.items()}
    steps = {symbol: tape.desk.paper.venue.listings[symbol].instrument.price_tick for symbol in prices}
    while True:
        for symbol, price in prices.items():
            moved = price * (1 + Decimal(chance.randint(-40, 40)) / 10_000)
            prices[symbol] = moved.quantize(steps[symbol])
        await set_prices(tape, {symbol: str(price) for symbol, price in prices.items()})
        await asyncio.sleep(PRICES_SECONDS)


async def _come_to_rest(tape: TapeDesk) -> None:
    deadline = time.monotonic() + REST_SECONDS_MAX
    while unfinished := await tape.journal.pool.fetch(UNFINISHED):
        lines = [row[0] for row in unfinished]
        assert time.monotonic() < deadline, f"{len(lines)} never came to rest: {lines[:5]}"
        await asyncio.sleep(0.1)


async def _close_everything(tape: TapeDesk) -> list[str]:
    """Close all that is left, as an operator does at the end of his day."""
    signal_ids = []
    for bot in tape.bots:
        answer = await tape.desk.post(bot, '{"action": "close_all", "alertid": "the end of the day"}')
        assert answer.status_code in (200, 202), answer.text
        signal_ids.append(answer.json()["signal_id"])
    await _come_to_rest(tape)
    return signal_ids


# --- compare ----------------------------------------------------------------------------------------------


def _check_answers(sent: list[Sent], books: Books) -> None:
    """Copies are one signal; what must be refused is, with its code; the others have a receipt."""
    assert len({one.signal_id for one in sent}) == len(sent) == ALERTS
    signals = {str(row["signal_id"]): row for row in books.ledger["signals"]}
    traded = {str(row["signal_id"]) for row in books.ledger["orders"]}
    for one in sent:
        signal = signals.pop(one.signal_id)
        assert len(one.answers) == one.alert.copies
        refusal = one.alert.meaning.refusal
        if refusal is not None:
            assert {status for status, _ in one.answers} == {422}, (one, dict(signal))
            assert {answer["error"]["code"] for _, answer in one.answers} == {refusal}, (one, dict(signal))
            assert {answer["error"]["details"]["signal_id"] for _, answer in one.answers} == {one.signal_id}
            receipt = books.receipts[one.signal_id]
            assert (receipt["status"], receipt["code"], receipt["rows"]) == ("refused", refusal, [])
            assert one.signal_id not in traded, "refused, and traded"
        else:
            assert {status for status, _ in one.answers} <= {200, 202}, one
            assert {answer["signal_id"] for _, answer in one.answers} == {one.signal_id}
            firsts = sum(not answer["repeated"] for _, answer in one.answers)
            assert firsts == 1 or (one.was_put_off and firsts == 0), one
        assert signal["deliveries"] == one.alert.copies or one.was_put_off, (one, dict(signal))
    assert not signals, "signals that nobody sent"


async def _check_readings(tape: TapeDesk, sent: list[Sent]) -> None:
    """Each alert was understood as it was meant."""
    rows = await tape.journal.pool.fetch(
        "SELECT kind, fact::text AS fact FROM journal WHERE kind = 'SignalAccepted'"
    )
    accepted = {}
    for row in rows:
        fact = decode(row["kind"], row["fact"])
        assert isinstance(fact, SignalAccepted)
        accepted[str(fact.signal_id)] = fact.instruction
    for one in sent:
        meaning = one.alert.meaning
        if meaning.refusal is not None:
            assert one.signal_id not in accepted, one
            continue
        asked = accepted[one.signal_id]
        assert (asked.action, asked.symbol, asked.side, asked.share) == (
            meaning.action,
            meaning.symbol,
            meaning.side,
            meaning.share,
        ), one


async def _check_no_circles(tape: TapeDesk) -> None:
    """No two transactions have waited for each other, so PostgreSQL had to end none."""
    ended = await tape.journal.pool.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert ended == 0, f"{ended} circles of locks"


def _check_that_much_was_sent(sent: list[Sent]) -> None:
    kinds = Counter(one.alert.kind for one in sent)
    resent = Counter(one.alert.resent for one in sent if one.alert.resent)
    say(f"alerts: {dict(kinds)}")
    say(f"sent again: {dict(resent)}, {sum(one.alert.copies - 1 for one in sent)} copies")
    assert set(kinds) == set(KINDS)
    assert set(resent) == set(RESENT)


def _check_that_much_happened(tape: TapeDesk, books: Books, replay: Replay, most: Counter[str]) -> None:
    """A run in which hardly anything trades, or no limit is ever reached, proves nothing."""
    orders = books.ledger["orders"]
    outcomes = Counter((row["leg"], row["status"]) for row in orders)
    codes = Counter(row["code"] for row in orders if row["code"] is not None)
    declined = Counter(row["code"] for row in books.ledger["signals"] if row["status"] == "declined")
    levels = Counter(
        (row["code"], row["reason"].split()[0].removeprefix("level="))
        for row in orders
        if row["code"] in ("POSITIONS_AT_LIMIT", "DAILY_LOSS_AT_LIMIT")
    )
    say(f"outcomes: {dict(outcomes)}")
    say(f"codes: {dict(codes)}")
    say(f"declined: {dict(declined)}")
    say(f"limits: {dict(levels)}")
    say(f"faults: {tape.hits}")
    say(f"fills: {len(books.ledger['fills'])}, positions: {len(books.ledger['positions'])}")
    assert outcomes["entry", "filled"] > ALERTS // 4
    assert outcomes["exit", "filled"] > ALERTS // 4
    assert replay.checked["waiting entries"]
    assert replay.checked["shares"]
    disabled = [row for row in orders if row["symbol"] == DISABLED_SYMBOL]
    assert {row["code"] for row in disabled} & {"SYMBOL_DISABLED"}
    assert sum(tape.hits.values()) > 10, tape.hits
    for code in ("POSITIONS_AT_LIMIT", "SYMBOL_OWNED", "SAME_SIDE_OPEN", "OPPOSITE_SIDE_OPEN"):
        assert codes[code], f"never: {code}"
    if IS_LONG:
        _check_that_everything_happened(tape, codes=codes, declined=declined, levels=levels, replay=replay)
        assert (most["bot symbol"], most["user"]) == (SOL_PLACES, USER_PLACES), (
            "limits that were never reached"
        )


def _check_that_everything_happened(
    tape: TapeDesk,
    *,
    codes: Counter[str],
    declined: Counter[str],
    levels: Counter[tuple[str, str]],
    replay: Replay,
) -> None:
    for code in (
        "DAILY_LOSS_AT_LIMIT", "SUBSCRIPTION_PAUSED", "NOTIONAL_BELOW_MINIMUM", "-2019", "SUPERSEDED",
        "CLOSED_MEANWHILE", "EXIT_IN_FLIGHT", "NOTHING_OPEN",
    ):  # fmt: skip
        assert codes[code], f"never: {code}"
    for code in ("BOT_STATUS", "DIRECTION", "ALLOW_LIST", "COOLDOWN", "DAILY_ENTRIES", "GLOBAL_LOSS"):
        assert declined[f"{code}_DECLINED"], f"never: {code}_DECLINED"
    for level in ("subscription", "subscription_symbol", "bot_symbol", "user"):
        assert levels["POSITIONS_AT_LIMIT", level], f"no place was ever missing at this level: {level}"
        assert levels["DAILY_LOSS_AT_LIMIT", level], f"no loss ever stopped an entry at this level: {level}"
    assert replay.checked["forgiven"]
    for mode in PositionMode:
        for side, rules in (("same", SameSide), ("opposite", OppositeSide)):
            for rule in rules:
                assert replay.met[side, str(rule), str(mode)], f"never met: {side} {rule} {mode}"
    for kind in ("lose", "vanish", "unknown", "uncertain", "refuse", "late", "drop", "duplicate", "lag"):
        assert tape.hits.get(kind), f"the venue never did this: {kind}"
