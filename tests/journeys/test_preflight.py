"""What would surprise an entry at its signal is known before: each refusal as it comes, then as the light that foretells it."""

import asyncio

import httpx
import pytest

from pregao.edges.paper.serve import PaperSettings
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.whole_desk import running_desk
from tests.ports import free_port

STILL = PaperSettings(still=True, listings=("BTCUSDT:step=0.001,notional_min=100",))
BUY = '{"ticker": "BTCUSDT", "action": "buy"}'
CLOSE = '{"ticker": "BTCUSDT", "action": "close"}'


KEY = {"key": "owners-key", "secret": "owners-secret"}


async def at_venue(desk, path, **values):
    """Do what the account's owner does at the paper exchange, past the desk."""
    async with httpx.AsyncClient(base_url=desk.paper.url, verify=False) as client:
        answer = await client.post(path, json=values)
    assert answer.status_code == 200, answer.text
    return answer.json()


def books(desk):
    return desk.paper.venue.books.accounts[KEY["key"]]


@pytest.fixture
async def desk(database, tmp_path):
    async with running_desk(database, tmp_path, paper=STILL) as one:
        yield one


async def open_account(desk, *, balance="10000", **changes):
    await at_venue(desk, "/paper/accounts", balance=balance, **KEY)
    return await desk.open_account("main", api_key=KEY["key"], secret_key=KEY["secret"], **changes)


async def follow(desk, *, balance="10000", account=None, **overrides):
    """Open an account and let it follow a bot on bitcoin."""
    account_id = await open_account(desk, balance=balance, **(account or {}))
    bot = await desk.create_bot(trading_symbol="BTCUSDT")
    await desk.subscribe(bot, account_id, **overrides)
    await looked_over_again(desk, account_id)
    return account_id, bot


async def looked_over_again(desk, account_id):
    """Wait until what the account follows was found without anybody asking."""
    async with asyncio.timeout(15):
        while True:
            found = await desk.ask("GET", f"/api/v1/exchange-accounts/{account_id}/preflight")
            if any(one["subscription_id"] for one in found["checks"]):
                return
            await asyncio.sleep(0.1)


async def change_subscription(desk, account_id, **changes):
    found = await desk.ask(
        "GET", "/api/v1/bot-subscriptions/my-subscriptions", params={"account_id": account_id}
    )
    [one] = found["items"]
    await desk.ask("PATCH", f"/api/v1/bot-subscriptions/{one['subscription_id']}", json=changes)


async def look(desk, account_id, **asked):
    found = await desk.ask("POST", f"/api/v1/exchange-accounts/{account_id}/preflight", json=asked)
    assert found["is_pending"] is False
    return found


async def lit(desk, account_id, light, *, seconds_max=15):
    """Wait for a light that nobody asked for."""
    async with asyncio.timeout(seconds_max):
        while True:
            account = await desk.ask("GET", f"/api/v1/exchange-accounts/{account_id}")
            if account["light"] == light:
                return account
            await asyncio.sleep(0.1)


async def signal(desk, bot, body=BUY):
    """Send a signal and give what became of the one account: status and code."""
    answer = await desk.post(bot, body)
    receipt = await desk.receipt(answer.json()["signal_id"])
    [line] = receipt["rows"]
    return line["outcome"], line["code"]


class TestReady:
    async def test_an_account_is_looked_over_without_being_asked(self, desk):
        account_id, _ = await follow(desk)

        account = await lit(desk, account_id, "ready")

        assert (account["light_codes"], account["light_checked_at"] is not None) == ([], True)


class TestPositionMode:
    async def test_a_mode_changed_by_hand_surprises_once_and_is_red_before_the_next_signal(self, desk):
        account_id, bot = await follow(desk)
        await lit(desk, account_id, "ready")
        await at_venue(desk, "/paper/position-mode", key=KEY["key"], position_mode="hedge")

        surprise = await signal(desk, bot)
        found = await lit(desk, account_id, "blocked")  # nobody asks: the rejection itself has it looked over
        denied = await signal(desk, bot, BUY.replace("buy", "long"))
        sent = len(books(desk).orders)

        assert surprise == ("rejected", "-4061")
        assert (found["light"], found["light_codes"]) == ("blocked", ["POSITION_MODE_DIFFERS"])
        assert denied == ("denied", "POSITION_MODE_DIFFERS")
        assert sent == 0

    async def test_it_is_set_when_asked_where_nothing_is_open(self, desk):
        account_id, bot = await follow(desk)
        await at_venue(desk, "/paper/position-mode", key=KEY["key"], position_mode="hedge")
        assert (await look(desk, account_id))["light"] == "blocked"

        fixed = await look(desk, account_id, fix=True)

        assert (fixed["light"], await signal(desk, bot)) == ("ready", ("filled", None))


class TestKey:
    async def test_a_key_that_may_withdraw_opens_nothing_and_still_closes(self, desk):
        account_id, bot = await follow(desk)
        await lit(desk, account_id, "ready")
        assert await signal(desk, bot) == ("filled", None)
        await at_venue(desk, "/paper/rights", key=KEY["key"], withdrawals=True)

        found = await look(desk, account_id)
        [key] = [one for one in found["checks"] if one["check"] == "key"]
        closed = await signal(desk, bot, CLOSE)
        entered = await signal(desk, bot, BUY.replace("buy", "long"))

        assert (found["light"], key["code"], key["denies"]) == ("blocked", "KEY_MAY_WITHDRAW", True)
        assert (closed, entered) == (("filled", None), ("denied", "KEY_MAY_WITHDRAW"))

    @pytest.mark.parametrize(
        ("rights", "code"),
        [
            ({"withdrawals": True}, "KEY_MAY_WITHDRAW"),
            ({"futures": False}, "KEY_MAY_NOT_TRADE"),
            ({"is_revoked": True}, "KEY_REFUSED"),
            ({"addresses": ["192.0.2.1"]}, "KEY_REFUSED"),
            ({"may_trade": False}, "ACCOUNT_MAY_NOT_TRADE"),
        ],
    )
    async def test_opening_an_account_tells_what_its_key_may_not(self, desk, rights, code):
        await at_venue(desk, "/paper/accounts", **KEY)
        await at_venue(desk, "/paper/rights", key=KEY["key"], **rights)

        opened = await desk.ask(
            "POST",
            "/api/v1/exchange-accounts",
            json={"name": "mine", "api_key": KEY["key"], "secret_key": KEY["secret"]},
        )

        assert (opened["light"], code in opened["light_codes"]) == ("blocked", True)

    async def test_another_key_lets_entries_in_again(self, desk):
        account_id, bot = await follow(desk)
        await at_venue(desk, "/paper/rights", key=KEY["key"], withdrawals=True)
        assert (await look(desk, account_id))["light"] == "blocked"
        await at_venue(desk, "/paper/accounts", key="another-key", secret="another-secret")

        changed = await desk.ask(
            "PATCH",
            f"/api/v1/exchange-accounts/{account_id}",
            json={"api_key": "another-key", "secret_key": "another-secret"},
        )

        assert changed["light"] in {"ready", "warning"}  # its stream may still be the former key's
        assert await signal(desk, bot) == ("filled", None)


class TestMargin:
    async def test_an_entry_that_the_account_cannot_pay_for_is_red_before_its_signal(self, desk):
        account_id, bot = await follow(desk, balance="20", custom_margin_usd="50")
        account = await lit(desk, account_id, "blocked")

        denied = await signal(desk, bot)

        assert (account["light_codes"], denied) == (
            ["MARGIN_INSUFFICIENT"],
            ("denied", "MARGIN_INSUFFICIENT"),
        )

    async def test_a_smaller_margin_turns_the_light_green(self, desk):
        account_id, bot = await follow(desk, balance="60", custom_margin_usd="100")
        await lit(desk, account_id, "blocked")
        await change_subscription(desk, account_id, custom_margin_usd="30")
        await lit(desk, account_id, "ready")

        assert await signal(desk, bot) == ("filled", None)


class TestLeverage:
    async def test_leverage_and_margin_mode_are_set_ahead_so_that_a_signal_sets_nothing(self, desk):
        account_id, bot = await follow(desk, account={"margin_mode": "isolated"}, custom_leverage=7)
        await lit(desk, account_id, "ready")
        ahead = books(desk).leverages["BTCUSDT"], books(desk).margin_modes["BTCUSDT"].value
        refused = [
            {"kind": "refuse", "code": -4028, "endpoint": "POST /fapi/v1/leverage"},
            {"kind": "refuse", "code": -4048, "endpoint": "POST /fapi/v1/marginType"},
        ]
        await at_venue(desk, "/paper/faults", faults=refused)

        assert (ahead, await signal(desk, bot)) == ((7, "isolated"), ("filled", None))

    async def test_it_is_not_touched_while_a_position_is_open(self, desk):
        account_id, bot = await follow(desk, custom_leverage=5)
        await lit(desk, account_id, "ready")
        assert await signal(desk, bot) == ("filled", None)
        await change_subscription(desk, account_id, custom_leverage=9)

        held = await look(desk, account_id)
        while_open = books(desk).leverages["BTCUSDT"]
        await signal(desk, bot, CLOSE)
        await look(desk, account_id)

        assert (held["light_codes"], while_open, books(desk).leverages["BTCUSDT"]) == (
            ["LEVERAGE_HELD"],
            5,
            9,
        )


class TestSize:
    async def test_too_small_an_entry_is_red_and_says_which_margin_would_do(self, desk):
        account_id, bot = await follow(desk, custom_margin_usd="20", custom_leverage=2)
        await lit(desk, account_id, "blocked")

        found = await look(desk, account_id)
        [size] = [one for one in found["checks"] if one["check"] == "size"]
        denied = await signal(desk, bot)

        assert (size["code"], size["denies"], size["numbers"]["margin_usd_needed"]) == (
            "QUANTITY_BELOW_MINIMUM",
            False,
            "90",
        )
        assert denied == ("denied", "QUANTITY_BELOW_MINIMUM")


class TestVenueAway:
    async def test_what_could_not_be_asked_denies_nothing(self, desk):
        account_id, bot = await follow(desk)
        await at_venue(desk, "/paper/position-mode", key=KEY["key"], position_mode="hedge")
        assert (await look(desk, account_id))["light_codes"] == ["POSITION_MODE_DIFFERS"]
        silent = {"kind": "uncertain", "endpoint": "GET /fapi/v1/accountConfig"}
        await at_venue(desk, "/paper/faults", faults=[silent])

        found = await look(desk, account_id)
        results = {one["check"]: one["result"] for one in found["checks"]}

        assert (found["light_codes"], results["position_mode"]) == (["VENUE_AWAY"], "unknown")
        assert not any(one["denies"] for one in found["checks"])
        assert await signal(desk, bot) == ("rejected", "-4061")

    async def test_a_key_known_to_withdraw_stays_out_while_the_rest_is_unknown(self, desk):
        account_id, bot = await follow(desk)
        await at_venue(desk, "/paper/rights", key=KEY["key"], withdrawals=True)
        silent = {"kind": "uncertain", "endpoint": "GET /fapi/v1/accountConfig"}
        await at_venue(desk, "/paper/faults", faults=[silent])

        found = await look(desk, account_id)

        assert found["light_codes"] == ["VENUE_AWAY", "KEY_MAY_WITHDRAW"]
        assert await signal(desk, bot) == ("denied", "KEY_MAY_WITHDRAW")


class TestDestination:
    async def test_is_looked_at_by_itself_and_again_when_somebody_asks(self, database, tmp_path):
        """Reachable or not, and what a webhook has nothing of is said; nothing is posted by looking."""
        async with (
            scripted_destination() as site,
            running_desk(database, tmp_path, paper=STILL, destinations_allowed=("127.0.0.1",)) as desk,
        ):
            account_id = await desk.open_account("out", venue="webhook", destination={"url": site.url})
            path = f"/api/v1/exchange-accounts/{account_id}"
            async with asyncio.timeout(30):
                while (await desk.ask("GET", path))["light"] != "ready":
                    await asyncio.sleep(0.1)
            ready = await desk.ask("GET", f"{path}/preflight")
            await desk.ask(
                "PATCH", path, json={"destination": {"url": f"http://127.0.0.1:{free_port()}/s3cr3t"}}
            )
            async with asyncio.timeout(30):
                while (moved := await desk.ask("GET", path))["light"] != "blocked":
                    await asyncio.sleep(0.1)
            asked = await desk.ask("POST", f"{path}/preflight")

        results = {one["check"]: one["result"] for one in ready["checks"]}
        assert (results.pop("destination"), results.pop("venue")) == ("ok", "ok")
        assert set(results.values()) == {"inapplicable"}
        assert moved["light_codes"] == ["DESTINATION_AWAY"]
        assert (asked["is_pending"], asked["light"]) == (False, "blocked")
        assert "s3cr3t" not in str(asked)
        assert site.posts == []
