"""The three books of a desk that has come to rest, the venue's, the ledger and the receipts, held against each other."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from pregao.domain.order import order_of
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.tape_desk import BOT_PLACES, SOL_PLACES, USER_OF_PLACES, USER_PLACES, TapeDesk

CENT_OF_A_CENT = Decimal("0.00000001")  # venues book amounts with eight decimals
PRICE_STEP = Decimal("0.0000000001")  # receipts show at most ten
TABLES = {
    "signals": "signal_id",
    "orders": "order_id",
    "attempts": "client_order_id",
    "fills": "account_id, symbol, trade_id::bigint",
    "positions": "position_id",
    "daily_results": "subscription_id, day, symbol",
    "foreign_positions": "account_id, symbol, position_side",
    "subscriptions": "subscription_id",
}
LIVE = ("pending", "open", "closing")
EXIT_DENIALS = {"NOTHING_OPEN", "EXIT_IN_FLIGHT", "QUANTITY_BELOW_MINIMUM", "OPPOSITE_SIDE_OPEN"}
"""
Why an exit may be denied: nothing is there, all of it is leaving already, the share is less than a step, or it was an
entry that a check stopped and the rule is to ignore the other side.
"""


@dataclass(slots=True)
class Books:
    """What everybody wrote down."""

    venue: dict[int, dict[str, Any]]  # by our account id
    receipts: dict[str, dict[str, Any]]  # by signal id, as the API shows them
    ledger: dict[str, list[Any]]
    differences: Sequence[Any]  # between the state and the fold of the journal

    @property
    def fills_at_venue(self) -> list[tuple[int, dict[str, Any]]]:
        return [(number, fill) for number, account in self.venue.items() for fill in account["fills"]]


async def read_books(tape: TapeDesk, *, signal_ids: Sequence[str]) -> Books:
    return Books(
        venue=await tape.books(),
        receipts={one: await tape.desk.ask("GET", f"/api/v1/signals/{one}/receipt") for one in signal_ids},
        ledger={
            table: await tape.journal.pool.fetch(f"SELECT * FROM {table} ORDER BY {key}")
            for table, key in TABLES.items()
        },
        differences=(await compare_with_journal(tape.journal)).differences,
    )


def check_all(books: Books) -> None:
    """Hold everything against everything that must be true at any moment of rest."""
    assert books.differences == ()
    check_orders_at_venue(books)
    check_fills(books)
    check_holdings(books)
    check_receipts(books)
    check_daily_results(books)
    check_venue_never_flipped(books)
    check_exits_are_never_limited(books)


# --- the venue and the ledger -----------------------------------------------------------------------------


def check_orders_at_venue(books: Books) -> None:
    """No order there is unknown here; none was executed twice under whichever of its attempts."""
    sent = {row["client_order_id"]: row for row in books.ledger["attempts"]}
    owners = {row["order_id"]: row["account_id"] for row in books.ledger["orders"]}
    quantities = {
        row["client_order_id"]: row["quantity"] for row in books.ledger["orders"]
    }  # of the last attempts
    executed: Counter[str] = Counter()
    for number, account in books.venue.items():
        names = [order["client_order_id"] for order in account["orders"]]
        assert _repeated(names) == {}, "one client order id carried two orders"
        for order in account["orders"]:
            name, _ = order_of(order["client_order_id"]) or (None, 0)
            assert order["client_order_id"] in sent, f"nobody here sent {order}"
            assert owners[name] == number, f"{order} is another account's"
            executed[name] += Decimal(order["filled_quantity"]) > 0
            row = sent[order["client_order_id"]]
            assert quantities.get(order["client_order_id"]) in (None, Decimal(order["quantity"])), order
            assert row["signed_at_ms"] <= order["created_ms"] + 1_000, (dict(row), order)
    assert {name: times for name, times in executed.items() if times > 1} == {}


def check_fills(books: Books) -> None:
    """Each trade of the venue is booked once, as it was; each order's sums are those of its trades."""
    theirs = [
        (number, fill["symbol"], fill["trade_id"], fill["order_id"], fill["client_order_id"], fill["side"],
         fill["position_side"], Decimal(fill["price"]), Decimal(fill["quantity"]), Decimal(fill["fee"]))
        for number, fill in books.fills_at_venue
    ]  # fmt: skip
    names = {row["order_id"]: row["client_order_id"] for row in books.ledger["orders"]}
    ours = [
        (row["account_id"], row["symbol"], int(row["trade_id"]), int(row["exchange_order_id"]),
         names.get(row["order_id"]), row["side"], row["position_side"], row["price"], row["quantity"], row["fee"])
        for row in books.ledger["fills"]
    ]  # fmt: skip
    assert sorted(ours) == sorted((*fill[:5], *_plain(fill[5:7]), *fill[7:]) for fill in theirs)

    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for row in books.ledger["fills"]:
        quantity, notional, fees = sums[row["order_id"]]
        sums[row["order_id"]] = [
            quantity + row["quantity"],
            notional + row["quantity"] * row["price"],
            fees + row["fee"],
        ]
    for row in books.ledger["orders"]:
        booked = [row["filled_quantity"], row["filled_notional"], row["fees"]]
        assert booked == sums.pop(row["order_id"], [0, 0, 0]), dict(row)
        assert row["quantity"] is None or row["filled_quantity"] <= row["quantity"], dict(row)
    assert not sums, "fills of orders that are not there"


def check_holdings(books: Books) -> None:
    """What is held here is held there, side by side; nothing is seen beside it; what is flat earned the same."""
    theirs = {
        (number, one["symbol"], one["position_side"].lower()): Decimal(one["quantity"])
        for number, account in books.venue.items()
        for one in account["positions"]
    }
    ours: dict[tuple[int, str, str], Decimal] = defaultdict(Decimal)
    flows: dict[tuple[int, str, str], Decimal] = defaultdict(Decimal)
    for row in books.ledger["positions"]:
        quantity = row["entered_quantity"] - row["exited_quantity"]
        assert (quantity != 0) is (row["status"] in LIVE), dict(row)
        assert row["status"] in ("open", "closed", "abandoned"), dict(row)
        place = row["account_id"], row["symbol"], row["position_side"]
        if quantity:
            assert place not in ours, f"two positions live at {place}"
            ours[place] = quantity if row["direction"] == "long" else -quantity
        flows[place] += row["realized_pnl"] + row["fees"]
    assert dict(ours) == theirs
    assert [dict(row) for row in books.ledger["foreign_positions"] if row["quantity"]] == []

    earned: dict[tuple[int, str, str], Decimal] = defaultdict(Decimal)
    for number, fill in books.fills_at_venue:
        earned[number, fill["symbol"], fill["position_side"].lower()] += Decimal(fill["realized_pnl"])
    for place, amount in earned.items():
        if place not in ours:
            assert amount == flows[place], f"PnL at {place}: there {amount}, here {flows[place]}"


def check_wallets(books: Books, *, balances: dict[int, Decimal]) -> None:
    """Once everything is flat, each wallet is what was paid in, what its positions earned, and funding."""
    earned: dict[int, Decimal] = defaultdict(Decimal)
    for row in books.ledger["positions"]:
        earned[row["account_id"]] += row["realized_pnl"]
    for number, account in books.venue.items():
        assert account["positions"] == []
        others = sum(Decimal(one["amount"]) for one in account["incomes"] if one["type"] != "TRANSFER")
        assert Decimal(account["wallet_balance"]) == balances[number] + earned[number] + others


def check_venue_never_flipped(books: Books) -> None:
    """No order took a position through zero; no bot held both sides of a symbol on one account."""
    bots = {row["order_id"]: row["bot_id"] for row in books.ledger["orders"]}
    held: dict[tuple[int, str, str], Decimal] = defaultdict(Decimal)
    of_bot: dict[tuple[int, str, Any], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for number, account in books.venue.items():
        for fill in sorted(account["fills"], key=lambda one: (one["traded_ms"], one["trade_id"])):
            side = fill["position_side"].lower()
            signed = Decimal(fill["quantity"]) * (1 if fill["side"].lower() == "buy" else -1)
            before = held[number, fill["symbol"], side]
            after = held[number, fill["symbol"], side] = before + signed
            assert before * after >= 0, f"account {number} went through zero: {fill}"
            assert side != "long" or after >= 0, fill
            assert side != "short" or after <= 0, fill
            name, _ = order_of(fill["client_order_id"]) or (None, 0)
            sides = of_bot[number, fill["symbol"], bots[name]]
            sides[side] += signed
            assert sum(quantity != 0 for quantity in sides.values()) <= 1, f"both sides at once: {fill}"


def check_places_at_venue(books: Books, tape: TapeDesk) -> Counter[str]:
    """
    Count at the venue, fill by fill, what was held at the same time: never more than somebody's places.

    The limits are those the test has set, not what the desk keeps of them; one that was changed, at its widest.
    """
    orders = {row["order_id"]: row for row in books.ledger["orders"]}
    bots = [bot["bot_id"] for bot in tape.bots]
    fills = [
        (fill["traded_ms"], orders[name]["leg"] == "entry", fill["trade_id"], number, fill, orders[name])
        for number, fill in books.fills_at_venue
        for name, _ in [order_of(fill["client_order_id"]) or ("", 0)]
    ]
    held: dict[tuple[int, int, str, str], Decimal] = defaultdict(Decimal)  # by bot, account, symbol, side
    most: Counter[str] = Counter()
    for _, is_entry, _, account_id, fill, order in sorted(fills, key=lambda one: one[:3]):
        place = (
            bots.index(str(order["bot_id"])), tape.accounts.index(account_id), fill["symbol"], fill["position_side"],
        )  # fmt: skip
        held[place] += Decimal(fill["quantity"]) * (1 if fill["side"].lower() == "buy" else -1)
        if not is_entry:
            continue
        live = [one for one, quantity in held.items() if quantity]
        used = {
            "subscription": (
                sum(one[:2] == place[:2] for one in live),
                tape.places_max[place[:2]],
            ),
            "bot": (sum(one[0] == 0 for one in live), BOT_PLACES),
            "bot symbol": (sum(one[0] == 0 and one[2] == "SOLUSDT" for one in live), SOL_PLACES),
            "user": (sum(one[1] in USER_OF_PLACES for one in live), USER_PLACES),
            "subscription symbol": (sum(one[:3] == (0, 7, "XRPUSDT") for one in live), 0),
        }
        for name, (places, places_max) in used.items():
            assert places <= places_max, f"{name} holds {places} of {places_max}: {fill}"
            most[name] = max(most[name], places)
    return most


# --- receipts ---------------------------------------------------------------------------------------------


def check_receipts(books: Books) -> None:
    """Each receipt is complete, has everybody once per leg and symbol, and says what the ledger says."""
    orders = {row["order_id"]: row for row in books.ledger["orders"]}
    traded: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, fill in books.fills_at_venue:
        name, _ = order_of(fill["client_order_id"]) or ("", 0)
        traded[name].append(fill)
    shown: set[str] = set()
    for signal_id, receipt in books.receipts.items():
        assert receipt["is_complete"], signal_id
        rows = receipt["rows"]
        places = [(row["account_id"], row["leg"], row["symbol"]) for row in rows]
        assert _repeated(places) == {}, f"signal {signal_id} has two rows of one leg"
        for row in rows:
            _check_row(row, orders[row["order_id"]])
            _check_row_at_venue(row, traded.pop(row["order_id"], []))
            shown.add(row["order_id"])
    assert shown == set(orders), "an order that no receipt shows"
    assert not traded, "fills that no receipt shows"


def _check_row(row: dict[str, Any], order: Any) -> None:
    assert row["outcome"] == order["status"], (row, dict(order))
    assert row["outcome"] in ("filled", "rejected", "expired", "canceled", "denied"), row
    assert Decimal(row["filled_quantity"]) == order["filled_quantity"], row
    assert Decimal(row["fees"]) == order["fees"], row
    if order["filled_quantity"]:
        average = order["filled_notional"] / order["filled_quantity"]
        assert Decimal(row["average_price"]) == average.quantize(PRICE_STEP), row
    else:
        assert row["average_price"] is None, row
    assert (row["outcome"] in ("denied", "rejected")) is (row["code"] is not None), row


def _check_row_at_venue(row: dict[str, Any], fills: Sequence[dict[str, Any]]) -> None:
    """Add up what the venue says of the row's order, without the ledger between."""
    quantity = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
    notional = sum((Decimal(fill["quantity"]) * Decimal(fill["price"]) for fill in fills), Decimal(0))
    assert Decimal(row["filled_quantity"]) == quantity, (row, fills)
    assert Decimal(row["fees"]) == sum((Decimal(fill["fee"]) for fill in fills), Decimal(0)), (row, fills)
    assert not quantity or Decimal(row["average_price"]) == (notional / quantity).quantize(PRICE_STEP), row
    assert {fill["side"].lower() for fill in fills} <= {row["side"]}, (row, fills)


def check_exits_are_never_limited(books: Books) -> None:
    denied = [row for row in books.ledger["orders"] if row["leg"] == "exit" and row["status"] == "denied"]
    assert {row["code"] for row in denied} <= EXIT_DENIALS


# --- results by day ---------------------------------------------------------------------------------------


def check_daily_results(books: Books) -> None:
    """The days' results are those of the fills, added up here."""
    fills: dict[int, list[Any]] = defaultdict(list)
    for row in books.ledger["fills"]:
        fills[row["position_id"]].append(row)
    days: dict[tuple[str, date, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for position in books.ledger["positions"]:
        own = fills.pop(position["position_id"], [])
        sums, last_at = _sums_of(own, is_long=position["direction"] == "long")
        recorded = {
            "entered": position["entered_quantity"], "exited": position["exited_quantity"],
            "paid": position["entry_notional"], "gotten": position["exit_notional"], "fees": position["fees"],
        }  # fmt: skip
        assert sums == recorded, dict(position)
        if not own or sums["entered"] != sums["exited"]:
            continue
        day = days[str(position["subscription_id"]), last_at.astimezone(UTC).date(), position["symbol"]]
        gross = sums["gotten"] - sums["paid"]
        gross = gross if position["direction"] == "long" else -gross
        pnl = gross.quantize(CENT_OF_A_CENT) - sums["fees"]
        assert pnl == position["realized_pnl"], dict(position)
        for name, value in {
            "closed": 1, "wins": pnl > 0, "losses": pnl < 0, "pnl_usd": pnl, "gross_pnl_usd": gross,
            "fees_usd": sums["fees"], "loss_usd": max(-pnl, Decimal(0)), "notional_usd": sums["paid"],
        }.items():  # fmt: skip
            day[name] += value
    assert not fills, "fills of positions that are not there"
    recorded_days = {
        (str(row["subscription_id"]), row["day"], row["symbol"]): {
            name: row[name]
            for name in (
                "closed", "wins", "losses", "pnl_usd", "gross_pnl_usd", "fees_usd", "loss_usd", "notional_usd",
            )
        }
        for row in books.ledger["daily_results"]
    }  # fmt: skip
    assert recorded_days == {key: dict(day) for key, day in days.items()}


def _sums_of(fills: Sequence[Any], *, is_long: bool) -> tuple[dict[str, Decimal], Any]:
    sums = dict.fromkeys(("entered", "exited", "paid", "gotten", "fees"), Decimal(0))
    for fill in fills:
        is_entry = (fill["side"] == "buy") is is_long
        sums["entered" if is_entry else "exited"] += fill["quantity"]
        sums["paid" if is_entry else "gotten"] += fill["quantity"] * fill["price"]
        sums["fees"] += fill["fee"]
    return sums, max((fill["traded_at"] for fill in fills), default=None)


def _repeated(names: Sequence[Any]) -> dict[Any, int]:
    return {name: times for name, times in Counter(names).items() if times > 1}


def _plain(words: Sequence[str]) -> list[str]:
    return [word.lower() for word in words]
