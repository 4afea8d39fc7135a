"""What an account holds beside the books, over the API: seen by its owner and by staff, settled by operators."""

import asyncio
from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.postgres import checks
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import NOON
from tests.edges.http.api.own_desk import code_of

DRIFT = "/api/v1/drift"


@pytest.fixture
async def accounts(desk):
    """Ana's account holds half a bitcoin that the books do not know; Bia's and the desk's own agree."""
    people = {name: await desk.enroll(name) for name in ("ana", "bia")}
    ids = {
        name: (await desk.make_account(name, user_id=str(person.user_id)))["account_id"]
        for name, person in people.items()
    }
    ids["desk"] = (await desk.make_account("desk"))["account_id"]
    await desk.append(
        ForeignPositionSeen(
            happened_at=NOON,
            account_id=ids["ana"],
            symbol="BTCUSDT",
            position_side=PositionSide.BOTH,
            quantity=Decimal("0.5"),
        )
    )
    for name, account_id in ids.items():
        await checks.note_check(desk.journal.pool, account_id, agrees=name != "ana")
    return people, ids


class TestDrift:
    async def test_says_what_the_venue_holds_and_what_the_books_hold(self, desk, accounts):
        _, ids = accounts

        items = (await desk.client.get(DRIFT)).json()["items"]

        ana, bia, own = items
        assert [one["account_id"] for one in items] == [ids["ana"], ids["bia"], ids["desk"]]
        [place] = ana["differences"]
        assert (place["symbol"], place["ours"], place["venue"]) == ("BTCUSDT", "0", "0.5")
        assert (ana["agreed_at"], bia["agreed_at"]) == (None, bia["checked_at"])
        assert own["differences"] == []

    async def test_says_of_a_webhook_that_nobody_can_be_asked_there(self, desk, accounts):
        made = await desk.made(
            "/api/v1/exchange-accounts", name="W", venue="webhook", destination={"url": "http://127.0.0.1:9/"}
        )

        items = (await desk.client.get(DRIFT)).json()["items"]

        assert [one["is_compared"] for one in items] == [True, True, True, False]
        assert items[-1]["account_id"] == made["account_id"]

    async def test_shows_only_what_differs_or_is_in_doubt(self, desk, accounts):
        _, ids = accounts
        assert await checks.mark_unreconciled(desk.journal.pool, Venue.PAPER) == []

        only = (await desk.client.get(DRIFT, params={"only_drifting": True})).json()["items"]

        assert [one["account_id"] for one in only] == [ids["ana"]]

    async def test_what_was_forgotten_is_in_doubt_until_it_was_compared(self, desk, accounts):
        _, ids = accounts
        assert await checks.mark_forgotten(desk.journal.pool) == len(ids)
        assert not await checks.mark_reconciled(desk.journal.pool, ids["bia"])
        await checks.note_check(desk.journal.pool, ids["bia"], agrees=True)

        only = (await desk.client.get(DRIFT, params={"only_drifting": True})).json()["items"]

        assert [one["account_id"] for one in only] == [ids["ana"], ids["desk"]]

    async def test_is_shown_to_its_owner_alone(self, desk, accounts):
        people, ids = accounts

        seen = {
            name: [one["account_id"] for one in (await person.client.get(DRIFT)).json()["items"]]
            for name, person in people.items()
        }

        assert seen == {"ana": [ids["ana"]], "bia": [ids["bia"]]}

    async def test_comes_in_pages(self, desk, accounts):
        _, ids = accounts
        first = (await desk.client.get(DRIFT, params={"limit": 2})).json()

        rest = (await desk.client.get(DRIFT, params={"limit": 2, "cursor": first["next_cursor"]})).json()

        assert [one["account_id"] for one in first["items"] + rest["items"]] == list(ids.values())
        assert rest["next_cursor"] is None


@pytest.fixture
async def place(desk):
    """An account with two subscriptions; what it holds beside the books is told by `seen`."""
    account_id = (await desk.make_account("main"))["account_id"]
    subscriptions = []
    for name in ("one", "two"):
        bot = await desk.make_bot(name, default_leverage=7)
        made = await desk.made("/api/v1/bot-subscriptions", bot_id=bot["bot_id"], account_id=account_id)
        subscriptions.append(made["subscription_id"])
    return Settled(desk, account_id, subscriptions)


class Settled:
    def __init__(self, desk, account_id, subscriptions):
        self.desk = desk
        self.account_id = account_id
        self.subscriptions = subscriptions

    async def seen(self, quantity, *, position_side=PositionSide.BOTH):
        await self.desk.append(
            ForeignPositionSeen(
                happened_at=NOON,
                account_id=self.account_id,
                symbol="BTCUSDT",
                position_side=position_side,
                quantity=Decimal(quantity),
            )
        )

    async def adopt(self, *, by=0, account_id=None, **changes):
        body = {"symbol": "BTCUSDT", "price": "60000", "reason": "ours", **changes}
        body.setdefault("subscription_id", self.subscriptions[by])
        return await self.desk.client.post(f"{DRIFT}/{account_id or self.account_id}/adopt", json=body)

    async def write_off(self, **changes):
        body = {"symbol": "BTCUSDT", "price": "61000", "reason": "gone", **changes}
        return await self.desk.client.post(f"{DRIFT}/{self.account_id}/write-off", json=body)

    async def positions(self):
        return (await self.desk.client.get("/api/v1/positions")).json()["items"]

    async def differences(self):
        [one] = (await self.desk.client.get(DRIFT)).json()["items"]
        return [(place["ours"], place["venue"]) for place in one["differences"]]


class TestAdopt:
    @pytest.mark.parametrize(
        ("quantity", "position_side", "direction"),
        [
            ("0.5", PositionSide.BOTH, "long"),
            ("-0.5", PositionSide.BOTH, "short"),
            ("0.5", PositionSide.LONG, "long"),
            ("-0.5", PositionSide.SHORT, "short"),
        ],
    )
    async def test_makes_a_position_of_what_the_venue_holds(self, place, quantity, position_side, direction):
        await place.seen(quantity, position_side=position_side)

        adopted = await place.adopt(position_side=position_side)

        assert adopted.status_code == 200, adopted.text
        [position] = await place.positions()
        assert (position["direction"], position["status"], position["quantity"]) == (direction, "open", "0.5")
        assert (position["entry_price"], position["fees"]) == ("60000", "0")
        assert position["subscription_id"] == place.subscriptions[0]
        assert await place.differences() == []

    async def test_adds_to_the_position_that_is_there(self, place):
        await place.seen("0.5")
        await place.adopt()
        await place.seen("0.25")

        await place.adopt(price="66000")

        [position] = await place.positions()
        assert (position["quantity"], position["entry_price"]) == ("0.75", "62000")

    async def test_leaves_another_ones_position_alone(self, place):
        await place.seen("0.5")
        await place.adopt()
        await place.seen("0.25")

        refused = await place.adopt(by=1)

        assert (refused.status_code, code_of(refused)) == (409, "SYMBOL_OWNED")
        assert [one["quantity"] for one in await place.positions()] == ["0.5"]

    @pytest.mark.parametrize(
        ("quantity", "asked", "status", "code"),
        [
            ("0", {}, 409, "DRIFT_NONE"),
            ("-0.5", {"position_side": "long"}, 409, "DRIFT_NONE"),
            ("0.5", {"subscription_id": "01930000-0000-7000-8000-0000000000ff"}, 404, "SUBSCRIPTION_UNKNOWN"),
            ("0.5", {"account_id": 99}, 404, "ACCOUNT_UNKNOWN"),
            ("0.5", {"price": "0"}, 422, None),
            ("0.5", {"price": "NaN"}, 422, None),
            ("0.5", {"reason": ""}, 422, None),
            ("0.5", {"symbol": "btc usdt"}, 422, None),
        ],
    )
    async def test_bad_input_changes_nothing(self, place, quantity, asked, status, code):
        await place.seen(quantity)

        refused = await place.adopt(**asked)

        assert refused.status_code == status, refused.text
        assert code is None or code_of(refused) == code
        assert await place.positions() == []

    async def test_a_long_place_that_holds_less_is_no_short(self, place):
        await place.seen("-0.5", position_side=PositionSide.LONG)

        refused = await place.adopt(position_side="long")

        assert (refused.status_code, code_of(refused)) == (409, "DRIFT_IS_MISSING")

    async def test_twice_at_once_counts_once(self, place):
        await place.seen("0.5")

        answers = await asyncio.gather(*(place.adopt() for _ in range(4)))

        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        assert [one["quantity"] for one in await place.positions()] == ["0.5"]

    async def test_takes_an_operator(self, place):
        await place.seen("0.5")
        ana = await place.desk.enroll("ana")

        body = {
            "symbol": "BTCUSDT",
            "price": "1",
            "reason": "mine",
            "subscription_id": place.subscriptions[0],
        }
        answer = await ana.client.post(f"{DRIFT}/{place.account_id}/adopt", json=body)

        assert answer.status_code == 403
        assert await place.positions() == []


class TestWriteOff:
    async def test_takes_off_what_is_not_there_and_says_so(self, place):
        await place.seen("0.5")
        await place.adopt()
        await place.seen("-0.5")

        written_off = await place.write_off()

        assert written_off.json()["booked_quantity"] == "0.5"
        [position] = await place.positions()
        assert (position["status"], position["close_reason"]) == ("closed", "written_off")
        assert position["realized_pnl"] == "500"
        assert await place.differences() == []

    async def test_leaves_what_is_beyond_the_position(self, place):
        """The venue is short where the books are long: the long is written off, the short is left to adopt."""
        await place.seen("0.5")
        await place.adopt()
        await place.seen("-0.8")

        await place.write_off()

        assert await place.differences() == [("0", "-0.3")]
        assert (await place.adopt()).json()["direction"] == "short"

    async def test_does_not_take_off_what_the_venue_holds(self, place):
        await place.seen("0.5")

        refused = await place.write_off()

        assert (refused.status_code, code_of(refused)) == (409, "DRIFT_IS_FOREIGN")

    async def test_the_state_equals_the_fold_of_the_journal(self, place):
        await place.seen("0.5")
        await place.adopt()
        await place.seen("-0.8")
        await place.write_off()

        assert (await compare_with_journal(place.desk.journal)).differences == ()
