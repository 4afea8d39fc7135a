"""What an account holds beside the books, over the API: seen by its owner and by staff."""

from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.facts import ForeignPositionSeen
from pregao.domain.order import PositionSide
from pregao.edges.postgres import checks
from tests.builders import NOON

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
