"""What a sender is answered, and what stands in the database when it is."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from pregao.domain.bot import BotStatus
from pregao.views.receipts import ReceiptRow
from tests.edges.http.api.test_receipts import planned
from tests.edges.http.intake_desk import NOON, PATH, SECRET, alert, open_desk, receipt


@pytest.fixture
async def desk(database):
    async with open_desk(database) as desk:
        yield desk


def code(response) -> str:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    return body["error"]["code"]


class TestMasterWebhook:
    async def test_answers_after_the_signal_is_committed(self, desk):
        made = await desk.add_bot()

        response = await desk.post(alert(price="64000.5"))

        assert response.status_code == 202
        answer = response.json()
        (row,) = await desk.rows()
        assert UUID(answer["signal_id"]) == row["signal_id"]
        assert (row["bot_id"], row["status"], row["action"], row["symbol"]) == (
            made.bot_id, "accepted", "enter", "BTCUSDT",
        )  # fmt: skip
        assert [fact["kind"] for fact in await desk.rows("SELECT kind FROM journal ORDER BY seq")][1:] == [
            "SignalReceived", "SignalAccepted",
        ]  # fmt: skip
        assert desk.rings == ["signals"]

    async def test_has_the_shape_of_the_source_system(self, desk):
        await desk.add_bot()

        answer = (await desk.post(alert())).json()

        assert answer["success"] is True
        assert answer["bot_name"] == "ema"
        assert answer["status"] == "pending"
        assert {
            "total_subscribers", "successful_executions", "failed_executions", "skipped_executions",
            "pending_executions", "duration_ms",
        } == set(answer["broadcast_stats"])  # fmt: skip
        assert answer["timestamp"].startswith("2026-11-21T12:00")

    async def test_knows_a_bot_made_this_very_moment(self, desk):
        assert (await desk.post(alert())).status_code == 404

        await desk.add_bot()

        assert (await desk.post(alert())).status_code == 202

    async def test_knows_a_secret_changed_this_very_moment(self, desk):
        made = await desk.add_bot()
        await desk.post(alert())
        new = hashlib.sha256(b"another").hexdigest()
        await desk.change_bot(
            type(made)(**{f: getattr(made, f) for f in made.__slots__} | {"secret_sha256": new})
        )

        response = await desk.post(alert(secret="another", note="new"))

        assert response.status_code == 202

    @pytest.mark.parametrize("way", ["query", "header"])
    async def test_takes_the_secret_from_elsewhere(self, desk, way):
        await desk.add_bot(secret_sha256=hashlib.sha256(b"cofre").hexdigest())
        given = (
            {"params": {"secret": "cofre"}} if way == "query" else {"headers": {"X-Pregao-Secret": "cofre"}}
        )

        response = await desk.post('{"ticker": "BTCUSDT", "action": "buy"}', **given)

        assert response.status_code == 202

    async def test_needs_no_secret_when_the_bot_is_open(self, desk):
        await desk.add_bot(is_open=True)

        assert (await desk.post('{"ticker": "BTCUSDT", "action": "buy"}')).status_code == 202

    async def test_passes_everything_else_to_the_api(self, desk):
        assert (await desk.client.get("/webhook/in")).status_code == 299
        assert (await desk.client.get("/api/v1/bots/webhook/master/x")).status_code == 299
        assert (await desk.client.post("/api/v1/bots")).status_code == 299

    async def test_takes_signals_of_a_paused_bot(self, desk):
        """Closes must pass; the decision declines the entries."""
        await desk.add_bot(status=BotStatus.PAUSED)

        assert (await desk.post(alert("close"))).status_code == 202


class TestBadInput:
    async def test_wrong_secret_is_401_and_leaves_hash_size_and_address_only(self, desk):
        await desk.add_bot()
        body = json.dumps({"ticker": "BTCUSDT", "action": "buy", "secret": "falsch", "note": "abc"})

        response = await desk.post(body)

        assert (response.status_code, code(response)) == (401, "SECRET_WRONG")
        assert await desk.rows() == []
        await asyncio.sleep(0.4)
        (row,) = await desk.rows("SELECT * FROM deliveries_turned_away")
        assert row["body_sha256"] == hashlib.sha256(body.encode()).hexdigest()
        assert (row["body_size"], row["source_address"], row["webhook_path"]) == (
            len(body),
            "127.0.0.1",
            PATH,
        )
        assert "falsch" not in await desk.everything_stored()

    async def test_no_secret_is_401(self, desk):
        await desk.add_bot()

        assert code(await desk.post('{"ticker": "BTCUSDT", "action": "buy"}')) == "SECRET_WRONG"

    async def test_unknown_path_is_404(self, desk):
        response = await desk.post(alert(), path="nobody-knows-this-one")

        assert (response.status_code, code(response)) == (404, "PATH_UNKNOWN")

    async def test_archived_bot_is_400(self, desk):
        await desk.add_bot(status=BotStatus.ARCHIVED)

        response = await desk.post(alert())

        assert (response.status_code, code(response)) == (400, "BOT_NOT_ACTIVE")
        assert await desk.rows() == []

    @pytest.mark.parametrize("action", ["close", "close_all", "sell"])
    async def test_archived_bot_takes_closes_while_it_holds_something(self, desk, action):
        """Who archived it and kept what was open counts on its closes."""
        made = await desk.add_bot(status=BotStatus.ARCHIVED)
        before = await desk.post(alert(action))
        async with desk.journal.transaction() as transaction:
            await transaction.append([planned(1, bot_id=made.bot_id)])

        taken, entry = await desk.post(alert(action)), await desk.post(alert("buy"))

        assert taken.status_code == 202
        assert [(answer.status_code, code(answer)) for answer in (before, entry)] == [
            (400, "BOT_NOT_ACTIVE")
        ] * 2
        (row,) = await desk.rows()
        assert (row["status"], row["action"]) == ("accepted", "enter" if action == "sell" else action)

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"ticker": "BTCUSDT"}, "ACTION_MISSING"),
            ({"action": "buy"}, "SYMBOL_MISSING"),
            (
                {"ticker": "BTCUSDT", "action": "buy", "price": "1", "orderType": "limit"},
                "UNSUPPORTED_INTENT",
            ),
            ({"ticker": "BTCUSDT", "action": "buy", "timenow": "2026-11-21T11:50:00Z"}, "SIGNAL_STALE"),
            ({"ticker": "{{ticker}}", "action": "buy"}, "PLACEHOLDER_UNFILLED"),
        ],
    )
    async def test_what_cannot_be_read_for_certain_is_422_and_durable(self, desk, body, expected):
        await desk.add_bot()

        response = await desk.post(json.dumps({**body, "secret": SECRET}))

        assert (response.status_code, code(response)) == (422, expected)
        (row,) = await desk.rows()
        assert (row["status"], row["code"], row["reason"]) == (
            "refused",
            expected,
            response.json()["error"]["message"],
        )
        assert row["settled_at"] is not None
        assert desk.rings == []

    async def test_unreadable_bytes_with_the_secret_in_the_query_are_422_and_durable(self, desk):
        await desk.add_bot()

        response = await desk.post(b"\xff\xfe\x00", params={"secret": SECRET})

        assert response.status_code == 422
        assert (await desk.rows())[0]["body"] == b"\xff\xfe\x00"

    async def test_a_stale_close_is_taken(self, desk):
        await desk.add_bot()

        assert (await desk.post(alert("close", timenow="2026-11-21T10:00:00Z"))).status_code == 202

    async def test_the_largest_body_passes_and_one_byte_more_is_413(self, desk):
        await desk.add_bot()
        fits = alert(note="x" * (65_536 - len(alert(note=""))))

        assert (await desk.post(fits)).status_code == 202
        response = await desk.post(fits + " ")

        assert (response.status_code, code(response)) == (413, "BODY_TOO_LARGE")
        assert len(await desk.rows()) == 1

    async def test_a_chunked_body_is_counted(self, desk):
        await desk.add_bot()

        async def chunks():
            for _ in range(80):
                yield b"x" * 1024

        response = await desk.post(chunks())

        assert (response.status_code, code(response)) == (413, "BODY_TOO_LARGE")

    async def test_a_huge_body_is_413_before_it_is_sent(self, desk):
        await desk.add_bot()
        reader, writer = await asyncio.open_connection(desk.client.base_url.host, desk.client.base_url.port)
        writer.write(
            f"POST /api/v1/bots/webhook/master/{PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n".encode()
        )

        line = await asyncio.wait_for(reader.readline(), 2)

        assert b" 413 " in line
        writer.close()
        await writer.wait_closed()

    async def test_a_value_no_row_can_hold_is_422_and_durable(self, desk):
        await desk.add_bot()

        response = await desk.post(
            f'{{"ticker": "BTCUSDT", "action": "buy", "secret": {json.dumps(SECRET)}, "price": 1e999999}}'
        )

        assert response.status_code == 422
        assert [row["status"] for row in await desk.rows()] == ["refused"]


class TestLimits:
    async def test_over_the_bots_limit_is_503_with_a_time_to_come_again(self, desk):
        """5xx is what TradingView sends again; 429 would be final."""
        await desk.add_bot(signals_per_minute_max=2)
        for number in range(2):
            assert (await desk.post(alert(note=number))).status_code == 202

        response = await desk.post(alert(note=2))

        assert (response.status_code, code(response)) == (503, "SIGNAL_LIMIT")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert len(await desk.rows()) == 2
        desk.later(seconds=60)
        assert (await desk.post(alert(note=2))).status_code == 202

    async def test_a_full_queue_is_503_and_nothing_is_taken(self, database):
        async with open_desk(database, queue_signals_max=2) as desk:
            await desk.add_bot()
            for number in range(2):
                await desk.post(alert(note=number))

            response = await desk.post(alert(note=2))

            assert (response.status_code, code(response)) == (503, "QUEUE_FULL")
            assert response.json()["error"]["details"]["queue_size"] == 2
            assert len(await desk.rows()) == 2

    async def test_ten_failures_in_a_minute_shut_an_address_out(self, desk):
        await desk.add_bot()
        for _ in range(10):
            assert (await desk.post(alert(secret="no"))).status_code == 401

        response = await desk.post(alert(secret="no"))

        assert (response.status_code, code(response)) == (429, "AUTHENTICATION_LIMIT")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert (await desk.post(alert())).status_code == 429
        desk.later(seconds=61)
        assert (await desk.post(alert())).status_code == 202

    async def test_only_failures_count(self, desk):
        await desk.add_bot()

        answers = [await desk.post(alert(note=number)) for number in range(15)]

        assert {answer.status_code for answer in answers} == {202}

    async def test_an_address_that_proved_the_secret_is_not_shut_out_by_others(self, desk):
        """TradingView sends everybody's alerts from four addresses."""
        await desk.add_bot()
        await desk.post(alert())
        for _ in range(12):
            await desk.post(alert(secret="no"))

        assert (await desk.post(alert(note="mine"))).status_code == 202
        assert (await desk.post(alert(secret="no"))).status_code in (401, 429)


class TestSourceAddress:
    async def test_forwarded_for_is_not_believed_from_strangers(self, desk):
        await desk.add_bot()

        await desk.post(alert(), headers={"X-Forwarded-For": "52.89.214.238"})

        assert (await desk.rows())[0]["source_address"] == "127.0.0.1"

    async def test_forwarded_for_is_read_backwards_behind_our_proxies(self, database):
        async with open_desk(database, trusted_proxies=("127.0.0.1", "10.0.0.0/8")) as desk:
            await desk.add_bot()

            await desk.post(alert(), headers={"X-Forwarded-For": "6.6.6.6, 52.89.214.238, 10.1.2.3"})

            (row,) = await desk.rows()
            assert (row["source_address"], row["source"]) == ("52.89.214.238", "tradingview")


class TestDedupe:
    async def test_the_same_body_twice_is_one_signal_and_the_same_reply(self, desk):
        await desk.add_bot()

        first, second = [await desk.post(alert()) for _ in range(2)]

        assert first.json()["signal_id"] == second.json()["signal_id"]
        assert (first.status_code, second.status_code) == (202, 202)
        assert (first.json()["repeated"], second.json()["repeated"]) == (False, True)
        (row,) = await desk.rows()
        assert row["deliveries"] == 2
        assert desk.rings == ["signals"]

    async def test_a_refused_body_is_refused_again_as_one_signal(self, desk):
        await desk.add_bot()

        first, second = [await desk.post(alert("perhaps")) for _ in range(2)]

        assert first.json() == second.json()
        assert first.status_code == 422
        assert [row["deliveries"] for row in await desk.rows()] == [2]

    async def test_fifty_copies_at_once_are_one_signal(self, desk):
        await desk.add_bot()

        answers = await asyncio.gather(*(desk.post(alert()) for _ in range(50)))

        assert len({answer.json()["signal_id"] for answer in answers}) == 1
        (row,) = await desk.rows()
        assert row["deliveries"] == 50
        assert len(await desk.rows("SELECT FROM journal WHERE kind = 'SignalAccepted'")) == 1

    async def test_copies_at_two_processes_are_one_signal(self, database, desk):
        await desk.add_bot()
        async with open_desk(database) as other:
            answers = await asyncio.gather(
                *(who.post(alert(note=number)) for number in range(20) for who in (desk, other))
            )

            assert {answer.status_code for answer in answers} == {202}
            assert len({answer.json()["signal_id"] for answer in answers}) == 20
            assert len(await desk.rows()) == 20

    async def test_a_minute_after_the_first_delivery_the_body_is_new(self, desk):
        """Counted from the first: a sender that repeats every 40 s is not silenced for ever."""
        await desk.add_bot()

        signals = []
        for seconds in (0, 40, 19.9, 0.1):
            desk.later(seconds=seconds)
            signals.append((await desk.post(alert())).json()["signal_id"])

        assert signals[0] == signals[1] == signals[2] != signals[3]
        assert len(await desk.rows()) == 2

    async def test_an_explicit_id_counts_once_for_ever(self, desk):
        await desk.add_bot()
        first = await desk.post(alert(signal_id="abc"))
        desk.later(days=400)

        second = await desk.post(alert("sell", signal_id="abc"))

        assert second.json()["signal_id"] == first.json()["signal_id"]
        assert len(await desk.rows()) == 1

    async def test_two_bots_may_get_the_same_body(self, desk):
        await desk.add_bot()
        await desk.add_bot(webhook_path="another-bot-at-all")

        await desk.post(alert())
        await desk.post(alert(), path="another-bot-at-all")

        assert len(await desk.rows()) == 2


class TestReceipt:
    def row(self, outcome: str, **changes) -> ReceiptRow:
        values = dict.fromkeys(ReceiptRow.__slots__)
        values |= {
            "account_id": 1, "account": "main", "subscription_id": uuid4(), "order_id": "o", "leg": "entry",
            "symbol": "BTCUSDT", "outcome": outcome, "filled_quantity": Decimal(0), "fees": Decimal(0),
        }  # fmt: skip
        return ReceiptRow(**{**values, **changes})

    async def test_is_waited_for_and_returned_complete(self, database):
        async with open_desk(database, webhook_wait_seconds=2) as desk:
            made = await desk.add_bot()
            posted = asyncio.create_task(desk.post(alert()))
            while not (rows := await desk.rows()):
                await asyncio.sleep(0.01)
            signal_id = rows[0]["signal_id"]
            filled = self.row("filled", filled_quantity=Decimal("0.005"), average_price=Decimal("64000.1"))
            denied = self.row("denied", account="other", code="QUANTITY_BELOW_MINIMUM")
            desk.receipts.kept[signal_id] = receipt(signal_id, made.bot_id, filled, denied)

            desk.intake.rung(f"{uuid4()} {signal_id}")
            response = await posted

            assert response.status_code == 200
            answer = response.json()
            assert answer["status"] == "complete"
            stats = answer["broadcast_stats"]
            assert stats.pop("duration_ms") < 2000
            assert stats == {
                "total_subscribers": 2, "successful_executions": 1, "failed_executions": 0,
                "skipped_executions": 1, "pending_executions": 0,
            }  # fmt: skip
            assert answer["executions"][0] == {
                "account": "main", "leg": "entry", "outcome": "filled", "code": None, "quantity": "0.005", "average_price": "64000.1",
            }  # fmt: skip

    async def test_is_found_without_the_bell(self, database):
        async with open_desk(database, webhook_wait_seconds=2) as desk:
            made = await desk.add_bot()
            posted = asyncio.create_task(desk.post(alert()))
            while not (rows := await desk.rows()):
                await asyncio.sleep(0.01)
            signal_id = rows[0]["signal_id"]
            desk.receipts.kept[signal_id] = receipt(signal_id, made.bot_id)

            await desk.pool.execute("UPDATE signals SET settled_at = now()")

            assert (await posted).status_code == 200

    async def test_is_pending_when_the_time_is_over(self, database):
        async with open_desk(database, webhook_wait_seconds=0.3) as desk:
            await desk.add_bot()

            response = await desk.post(alert())

            assert (response.status_code, response.json()["status"]) == (202, "pending")
            assert response.elapsed < timedelta(seconds=1)

    async def test_is_not_waited_for_when_the_sender_asks_so(self, database):
        async with open_desk(database, webhook_wait_seconds=2) as desk:
            await desk.add_bot()

            response = await desk.post(alert(), params={"wait": "0"})

            assert response.status_code == 202
            assert response.elapsed < timedelta(seconds=1)


class TestWebhookIn:
    async def test_queues_for_the_bot_default(self, desk):
        await desk.add_bot(name="default")

        response = await desk.client.post("/webhook/in", content=alert(ticker=" btcusdt "))

        assert response.status_code == 202
        (row,) = await desk.rows()
        assert response.json() == {
            "queued": True, "queue_size": 1, "signal_id": str(row["signal_id"]), "ticker": "BTCUSDT",
        }  # fmt: skip
        assert row["source"] == "webhook_in"

    async def test_the_same_id_twice_gets_the_same_signal(self, desk):
        await desk.add_bot(name="default")

        answers = [
            (await desk.client.post("/webhook/in", content=alert(signal_id="s-1", n=n))).json()["signal_id"]
            for n in range(2)
        ]

        assert answers[0] == answers[1]

    async def test_is_404_without_a_bot_default(self, desk):
        response = await desk.client.post("/webhook/in", content=alert())

        assert (response.status_code, code(response)) == (404, "PATH_UNKNOWN")


class TestDatabaseAway:
    async def test_is_503_and_says_come_again(self, database):
        async with open_desk(database) as desk:
            await desk.add_bot()
            await desk.post(alert())
            desk.pool.terminate()

            response = await desk.post(alert(note="another"))

            assert (response.status_code, code(response)) == (503, "DATABASE_AWAY")
            assert int(response.headers["retry-after"]) > 0
            assert (await desk.post(alert(), path="unknown-path-here")).status_code == 503

    async def test_a_commit_that_hangs_is_503_within_tradingviews_time(self, database):
        async with open_desk(database) as desk:
            await desk.add_bot()
            await desk.post(alert())
            async with desk.pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE deliveries")

                response = await desk.post(alert(note="another"), timeout=5)

            assert (response.status_code, code(response)) == (503, "DATABASE_AWAY")
            assert response.elapsed < timedelta(seconds=3)
            assert (await desk.post(alert(note="another"))).status_code == 202


async def test_signals_are_stored_with_ids_of_their_time(desk):
    await desk.add_bot()

    signal_id = UUID((await desk.post(alert())).json()["signal_id"])

    assert (signal_id.version, signal_id.variant) == (7, "specified in RFC 4122")
    assert datetime.fromtimestamp((signal_id.int >> 80) / 1000, UTC) == NOON
