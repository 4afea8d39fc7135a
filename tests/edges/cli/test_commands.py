"""The commands against a desk that listens: what a person sees, what a machine reads, what both are told."""

import json
import socket
from uuid import UUID

import pytest

from pregao.edges.cli import accounts, approvals, bots, signals, subscriptions, trading
from pregao.edges.processes.state import write_processes
from tests.builders import BOT_ID, NOON, closed, configured, held
from tests.edges.cli.own_shell import Shell, listening
from tests.edges.http.api.own_desk import TOKEN
from tests.edges.http.api.test_approvals import SIGNAL_ID as ASKED_ID
from tests.edges.http.api.test_approvals import asked
from tests.edges.http.api.test_performance import trade as traded
from tests.edges.http.api.test_receipts import SIGNAL_ID, accepted, approved, denied, filled, planned

SECRET = "a-very-secret-secret"


class TestApproval:
    async def test_is_listed_approved_and_traced(self, shell):
        desk, here = shell
        await desk.append(*configured(accounts=2), *asked())

        listed = await here.run(approvals.app, "list")
        traced = await here.run(signals.app, "trace", str(ASKED_ID))
        approved_now = await here.run(approvals.app, "approve", str(ASKED_ID))
        answered = await here.run(signals.app, "trace", str(ASKED_ID))
        nothing = await here.run(approvals.app, "list")

        assert all(word in listed.stdout for word in (str(ASKED_ID), "BTCUSDT", "95200.1", "paper"))
        assert "waits until 2026-11-21T12:05:00Z" in traced.stdout
        assert "It waits for a person" in traced.stdout
        assert approved_now.stdout.startswith("Approved, as admin token.\n")
        assert "approved 2026-11-21T12:00:00Z by admin token" in answered.stdout
        assert nothing.stdout == "Nothing waits for a person.\n"

    async def test_is_declined_with_a_reason(self, shell):
        desk, here = shell
        await desk.append(*configured(), *asked())

        [line] = await here.read(approvals.app, "list")
        answer = await here.read(approvals.app, "decline", str(ASKED_ID), "--reason", "news at two")

        assert line["seconds_left"] == 300
        assert (answer["is_approved"], answer["reason"]) == (False, "news at two")

    async def test_says_who_was_quicker(self, shell):
        desk, here = shell
        await desk.append(*configured(), *asked())
        await here.run(approvals.app, "decline", str(ASKED_ID))

        late = await here.run(approvals.app, "approve", str(ASKED_ID))

        assert late.exit_code == 1
        assert late.stderr.startswith(f"APPROVAL_ANSWERED: signal={ASKED_ID} answered_by=admin token")

    async def test_is_shown_with_its_numbers_before_and_after_the_answer(self, shell):
        desk, here = shell
        await desk.append(*configured(), *asked())

        before = await here.run(approvals.app, "show", str(ASKED_ID))
        await here.run(approvals.app, "decline", str(ASKED_ID), "--reason", "news at two")
        after = await here.run(approvals.app, "show", str(ASKED_ID))
        unknown = await here.run(approvals.app, "show", str(UUID(int=77)))

        for words in (
            "price_then          95200.1",
            "seconds_left        300",
            "symbol=BTCUSDT trading_symbol=any",
        ):
            assert words in before.stdout
        assert "answer" not in before.stdout
        for words in ("answer       no", "answered_by  admin token", "reason       news at two"):
            assert words in after.stdout
        assert (unknown.exit_code, unknown.stderr[:17]) == (1, "APPROVAL_UNKNOWN:")

    async def test_is_listed_once_it_is_answered(self, shell):
        desk, here = shell
        await desk.append(*configured(), *asked())
        none_yet = await here.run(approvals.app, "list", "--answered")
        await here.run(approvals.app, "approve", str(ASKED_ID), "--reason", "as planned")

        listed = await here.run(approvals.app, "list", "--answered")
        of_bot = await here.read(approvals.app, "list", "--answered", "--bot", "EMA cross")

        assert none_yet.stdout == "Nothing was answered yet.\n"
        assert all(word in listed.stdout for word in (str(ASKED_ID), "yes", "admin token", "as planned"))
        assert [one["signal_id"] for one in of_bot] == [str(ASKED_ID)]


class TestBot:
    async def test_is_created_listed_and_shown(self, shell):
        """F040."""
        _, here = shell

        created = await here.run(
            bots.app, "create", "EMA cross", "--path", "bot-ema-cross-15m", "--leverage", "5"
        )
        listed = await here.run(bots.app, "list")
        shown = await here.read(bots.app, "show", "bot-ema-cross-15m")

        assert created.exit_code == 0, created.stderr
        assert "/api/v1/bots/webhook/master/bot-ema-cross-15m" in created.stdout
        assert "secret" in created.stdout
        assert "bot-ema-cross-15m" in listed.stdout
        assert (shown["name"], shown["default_leverage"], shown["recent_signals"]) == ("EMA cross", 5, [])

    async def test_is_paused_resumed_and_archived_by_name(self, shell):
        desk, here = shell
        await desk.make_bot("EMA cross")

        texts = [
            (await here.run(bots.app, verb, "EMA cross")).stdout for verb in ("pause", "resume", "archive")
        ]

        assert texts == ["EMA cross is paused.\n", "EMA cross is active.\n", "EMA cross is archived.\n"]

    async def test_gets_a_new_secret_that_is_printed_once(self, shell):
        desk, here = shell
        made = await desk.make_bot("EMA cross")

        rotated = await here.read(bots.app, "rotate-secret", "EMA cross", "--overlap-seconds", "60")
        told = await here.run(bots.app, "rotate-secret", "EMA cross", "--overlap-seconds", "0")
        shown = await here.run(bots.app, "show", "EMA cross")

        assert rotated["secret"] not in (made["secret"], told.stdout)
        assert rotated["former_secret_until"] == "2026-11-21T12:01:00Z"
        assert "The secret is shown this once" in told.stdout
        assert "former_secret_until  -" in told.stdout
        assert "former_secret_until" in shown.stdout
        assert rotated["secret"] not in shown.stdout

    async def test_says_which_setting_is_out_of_range(self, shell):
        _, here = shell

        result = await here.run(bots.app, "create", "EMA cross", "--leverage", "0")

        assert result.exit_code == 1
        assert result.stderr.startswith("SETTING_OUT_OF_RANGE: default_leverage=0 minimum=1 maximum=125.")

    async def test_says_which_setting_cannot_be_read(self, shell):
        _, here = shell

        result = await here.run(bots.app, "create", "EMA cross", "--margin-usd", "much")

        assert result.exit_code == 1
        assert result.stderr.startswith("SETTING_UNREADABLE: field=default_margin_usd.")

    async def test_asks_for_the_id_when_two_have_the_name(self, shell):
        desk, here = shell
        await desk.make_bot("twin")
        await desk.make_bot("twin")

        results = [await here.run(bots.app, "show", name) for name in ("twin", "nobody")]

        assert [result.exit_code for result in results] == [1, 1]
        assert "BOT_UNCERTAIN: bot=twin found=2." in results[0].stderr
        assert "found=0" in results[1].stderr


class TestPerformance:
    async def test_is_shown_for_a_subscription_and_for_a_bot(self, shell):
        """F061."""
        desk, here = shell
        await desk.append(*configured())
        await traded(desk, closed(held("1", price="100"), at=NOON, pnl="-3.5"))

        text = (await here.run(subscriptions.app, "performance", str(UUID(int=1)), "--days", "7")).stdout
        ours = await here.read(subscriptions.app, "performance", str(UUID(int=1)), "--days", "7")
        of_bot = (await here.run(bots.app, "performance", str(BOT_ID))).stdout
        bots_own = await here.read(bots.app, "performance", str(BOT_ID), "--days", "7")

        assert "3.5 of 200" in text
        assert "2026-11-21" in text
        assert "1 received: 0 executed, 0 failed, 0 skipped, 1 pending" in text
        assert (len(ours["daily"]), ours["today"]["pnl_usd"]) == (7, "-3.5")
        assert "account 1" in of_bot
        assert bots_own["top_subscribers"][0]["pnl_usd"] == "-3.5"

    async def test_says_that_nothing_closed(self, shell):
        desk, here = shell
        await desk.append(*configured())

        result = await here.run(subscriptions.app, "performance", str(UUID(int=1)))

        assert result.exit_code == 0, result.stderr
        assert "No position closed in this time." in result.stdout

    async def test_forgives_what_was_lost_today(self, shell):
        desk, here = shell
        await desk.append(*configured())
        await traded(desk, closed(held("1", price="100"), at=NOON, pnl="-3.5"))

        result = await here.run(
            subscriptions.app, "forgive-loss", str(UUID(int=1)), "--reason", "venue outage"
        )
        again = await here.read(
            subscriptions.app, "forgive-loss", str(UUID(int=1)), "--reason", "venue outage"
        )

        assert (
            result.stdout == "Lost today 3.5 USD, forgiven 3.5, counted 0 and 0 of open positions, of 200.\n"
        )
        assert again["today"]["forgiven_usd"] == "3.5"


class TestAccount:
    async def test_opens_a_paper_account_and_shows_it(self, shell):
        desk, here = shell

        added = await here.run(accounts.app, "add", "main", "--balance-usdt", "500")
        shown = await here.read(accounts.app, "show", "main")

        assert added.exit_code == 0, added.stderr
        assert len(desk.paper.opened) == 1
        assert (shown["venue"], shown["has_credentials"]) == ("paper", True)

    async def test_asks_for_key_and_secret_without_showing_them(self, shell):
        """F063."""
        desk, here = shell

        result = await here.run(
            accounts.app, "add", "demo", "--venue", "binance_demo", input=f"the-key\n{SECRET}\n"
        )

        (account,) = await here.read(accounts.app, "list")
        kept = await desk.ports.credentials.find_credentials(account["account_id"])
        assert result.exit_code == 0, result.stderr
        assert SECRET not in result.output
        assert (kept.key, kept.secret) == ("the-key", SECRET)

    async def test_asks_for_a_webhooks_url_without_showing_it(self, shell):
        desk, here = shell
        url = f"http://127.0.0.1:9/hook/{SECRET}"
        told = (
            "--venue",
            "webhook",
            "--timeout-seconds",
            "9",
            "--honours-idempotency",
            "--body",
            "traderspost",
        )

        result = await here.run(accounts.app, "add", "out", *told, input=f"{url}\n")

        shown = await here.read(accounts.app, "show", "out")
        kept = await desk.ports.credentials.find_credentials(shown["account_id"])
        assert result.exit_code == 0, result.stderr
        assert SECRET not in result.output
        assert kept.secret == url
        assert shown["destination"] == {
            "host": "127.0.0.1", "timeout_seconds": 9, "honours_idempotency": True, "body": "traderspost",
        }  # fmt: skip

    async def test_rewraps(self, shell):
        desk, here = shell
        await desk.make_account()

        result = await here.run(accounts.app, "rewrap")

        assert result.stdout.startswith("0 accounts were under another master key")


class TestSubscription:
    async def test_is_added_and_listed(self, shell):
        """F041."""
        desk, here = shell
        await desk.make_bot("EMA cross")
        await desk.make_account("main")

        added = await here.run(subscriptions.app, "add", "EMA cross", "main", "--leverage", "3")
        (listed,) = await here.read(subscriptions.app, "list", "--bot", "EMA cross")

        assert added.exit_code == 0, added.stderr
        assert (listed["account_name"], listed["effective"]["leverage"]) == ("main", 3)


class TestSignal:
    async def test_traces_what_a_signal_did_on_every_account(self, shell):
        desk, here = shell
        await desk.append(
            *approved(accounts=2, orders=1), planned(1), denied(2), accepted(1), filled(1, price="95300")
        )

        traced = await here.run(signals.app, "trace", str(SIGNAL_ID))
        listed = await here.read(signals.app, "list", "--bot", str(BOT_ID))

        assert traced.exit_code == 0, traced.stderr
        (row,) = [line.split() for line in traced.stdout.splitlines() if "account 1" in line]
        assert row[2:] == [
            "entry",
            "filled",
            "-",
            "buy",
            "0.005",
            "95300",
            "10.5",
            "0.19",
            "3",
            "5",
            "30",
            "28",
            "40",
        ]
        assert "account 2: NOTIONAL_BELOW_MINIMUM: notional=3 minimum=5." in traced.stdout
        assert [one["signal_id"] for one in listed] == [str(SIGNAL_ID)]

    async def test_tells_every_fact_of_a_signal(self, shell):
        desk, here = shell
        await desk.append(*approved(accounts=1, orders=1), planned(1), filled(1, price="95300"))

        told = await here.run(signals.app, "facts", str(SIGNAL_ID))
        listed = await here.read(signals.app, "facts", str(SIGNAL_ID))

        assert told.exit_code == 0, told.stderr
        assert [one["kind"] for one in listed][-2:] == ["OrderPlanned", "FillBooked"]
        assert "price=95300" in told.stdout

    async def test_says_that_there_is_no_such_signal(self, shell):
        _, here = shell

        result = await here.run(signals.app, "trace", str(SIGNAL_ID))

        assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "SIGNAL_UNKNOWN")

    async def test_sends_a_body_as_it_is(self, tmp_path):
        """The bytes are the sender's: they arrive unchanged, with the secret beside them."""
        seen = {}

        async def webhook(scope, receive, send):
            seen.update(path=scope["path"], headers=dict(scope["headers"]), body=(await receive())["body"])
            answer = {"signal_id": str(SIGNAL_ID), "bot_name": "EMA", "status": "complete", "executions": []}
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

        async with listening(webhook) as port:
            here = Shell({"SERVER_PORT": str(port), "PREGAO_STATE_DIR": str(tmp_path)})
            result = await here.run(
                signals.app, "send", "bot-ema-cross-15m", "--body", "buy BTCUSDT", "--secret", SECRET
            )

        assert result.exit_code == 0, result.stderr
        assert seen["path"] == "/api/v1/bots/webhook/master/bot-ema-cross-15m"
        assert (seen["body"], seen["headers"][b"x-pregao-secret"]) == (b"buy BTCUSDT", SECRET.encode())
        assert f"pregao signal trace {SIGNAL_ID}" in result.stdout

    @pytest.mark.parametrize("words", [[], ["--body", "x", "--file", "y"]])
    async def test_sends_one_body(self, words):
        result = await Shell({}).run(signals.app, "send", "bot-ema-cross-15m", *words)

        assert (result.exit_code, result.stderr.partition(":")[0]) == (2, "BODY_UNCERTAIN")


class TestTrading:
    async def test_lists_orders_and_positions(self, shell):
        desk, here = shell
        await desk.append(*approved(accounts=1, orders=1), planned(1))

        orders = await here.read(trading.app, "orders", "--signal", str(SIGNAL_ID))
        positions = await here.read(trading.app, "positions", "--live")
        table = await here.run(trading.app, "positions")

        assert [order["status"] for order in orders] == ["planned"]
        assert [position["status"] for position in positions] == ["pending"]
        assert "BTCUSDT" in table.stdout

    async def test_gives_the_latest_only(self, shell):
        desk, here = shell
        await desk.append(*approved(accounts=3, orders=3), *(planned(number) for number in (1, 2, 3)))

        orders = await here.read(trading.app, "orders", "--limit", "2")

        assert [order["order_id"] for order in orders] == ["p3", "p2"]


class TestDesk:
    async def test_says_that_the_desk_is_away(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        here = Shell(
            {"SERVER_PORT": str(port), "PREGAO_STATE_DIR": str(tmp_path), "PREGAO_ADMIN_TOKEN": TOKEN}
        )

        result = await here.run(bots.app, "list")

        assert result.exit_code == 1
        assert result.stderr.startswith(f"DESK_AWAY: address=http://127.0.0.1:{port}")

    async def test_takes_the_token_from_the_state_folder(self, shell, tmp_path):
        _, here = shell
        here.environment["PREGAO_ADMIN_TOKEN"] = None
        (tmp_path / "env").write_text(f"PREGAO_ADMIN_TOKEN={TOKEN}\n")

        result = await here.run(bots.app, "list")

        assert result.stdout == "There are no bots. `pregao bot create NAME` makes one.\n"

    async def test_says_that_the_token_is_another_desks(self, shell):
        _, here = shell
        here.environment["PREGAO_ADMIN_TOKEN"] = "another"

        result = await here.run(bots.app, "list")

        assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "TOKEN_WRONG")

    async def test_says_that_there_is_no_token(self, tmp_path):
        here = Shell({"PREGAO_STATE_DIR": str(tmp_path), "PREGAO_ADMIN_TOKEN": None})

        result = await here.run(bots.app, "list")

        assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "SETTING_MISSING")


class TestAddress:
    async def test_is_where_the_desk_of_the_state_folder_listens(self, shell, tmp_path):
        """Whoever started it with `SERVER_PORT=8123 python run.py` need not say so again."""
        _, elsewhere = shell
        port = int(elsewhere.environment["SERVER_PORT"])
        write_processes(tmp_path, stage="running", host="0.0.0.0", port=port, processes=[])
        here = Shell({**elsewhere.environment, "SERVER_PORT": None})

        assert (await here.read(bots.app, "list")) == []

    async def test_is_the_settings_own_where_one_is_given(self, shell, tmp_path):
        _, here = shell
        write_processes(tmp_path, stage="running", host="127.0.0.1", port=1, processes=[])

        assert (await here.read(bots.app, "list")) == []
