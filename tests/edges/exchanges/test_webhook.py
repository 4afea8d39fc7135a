"""A webhook as a venue: what is posted, what every answer means, and that nothing is posted anywhere else."""

import json
import socket
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.destinations.ports import CheckedAddress
from pregao.destinations.refusals import SettingUnusableError
from pregao.domain.forward import BodyForm, Destination, Parcel
from pregao.domain.order import Leg, PositionSide, Side, client_order_id
from pregao.domain.venue import NeverKnown, OrderAttempt, Refused, RetryLater
from pregao.edges.exchanges.webhook.exchange import WebhookExchange, retry_seconds
from pregao.edges.exchanges.webhook.parcel import body_of
from tests.builders import NOON
from tests.edges.exchanges.scripted_destination import scripted_destination

ORDER_ID = "p" + "a" * 26
SIGNAL_ID = UUID(int=7)
ALERT = {
    "ticker": "aapl", "side": "buy", "action": "enter", "price": 1.5, "time": "2026-11-21T12:00:00Z",
    "interval": "15", "quantity": 3, "secret": "***", "api_key": "k3y", "passphrase": "w0rd", "note": "mine",
    "strategy": "x" * 65, "exchange": {"nested": "s3cret"}, "sentiment": True,
}  # fmt: skip


def parcel(*, alert=ALERT, leg=Leg.ENTRY, price="1.50", **destination):
    return Parcel(
        order_id=ORDER_ID,
        signal_id=SIGNAL_ID,
        leg=leg,
        ticker="AAPL",
        price=None if price is None else Decimal(price),
        received_at=NOON,
        body=alert if isinstance(alert, bytes) else json.dumps(alert).encode(),
        destination=Destination(**{"host": "127.0.0.1", "timeout_seconds": 1, **destination}),
    )


class TestBody:
    def test_says_the_signals_own_words_and_nothing_that_is_not_named(self):
        assert json.loads(body_of(parcel())) == {
            "ticker": "AAPL", "side": "buy", "action": "enter", "price": 1.5, "time": "2026-11-21T12:00:00Z",
            "interval": "15", "quantity": 3, "signal_id": str(SIGNAL_ID), "received_at": NOON.timestamp(),
        }  # fmt: skip

    def test_of_a_text_alert_without_a_price_invents_none(self):
        told = json.loads(body_of(parcel(alert=b"close AAPL", leg=Leg.EXIT, price=None)))

        assert (told["side"], told["action"]) == ("sell", "exit")
        assert "price" not in told
        assert "time" not in told

    @pytest.mark.parametrize(
        ("leg", "action", "sentiment"), [(Leg.ENTRY, "buy", "bullish"), (Leg.EXIT, "exit", "flat")]
    )
    def test_speaks_traderspost(self, leg, action, sentiment):
        told = json.loads(body_of(parcel(leg=leg, body=BodyForm.TRADERSPOST)))

        assert (told["ticker"], told["action"], told["sentiment"], told["price"]) == (
            "AAPL", action, sentiment, 1.5,
        )  # fmt: skip
        assert "k3y" not in json.dumps(told)


class Parcels:
    """Keeps one parcel, and lets its attempts leave while nobody else has it."""

    def __init__(self, kept):
        self.kept = kept
        self.begun = []
        self.is_others = False

    async def find_parcel(self, order_id):
        return self.kept if self.kept and order_id == self.kept.order_id else None

    async def begin(self, attempt):
        self.begun.append(attempt.client_order_id)
        return not self.is_others


class Checked:
    """Knows where one host stands."""

    def __init__(self, host, *addresses, refusal=None):
        self.host, self.addresses, self.refusal = host, addresses, refusal

    async def check(self, url):
        if self.refusal:
            raise SettingUnusableError(self.refusal, f"host={self.host}.")
        return CheckedAddress(host=self.host, port=0, is_secured=False, addresses=self.addresses)


def attempt(number=1):
    return OrderAttempt(
        client_order_id=client_order_id(ORDER_ID, attempt=number),
        account_id=1,
        symbol="AAPL",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal(1),
        reduce_only=False,
        signed_at_ms=0,
        recv_window_ms=5_000,
    )


@pytest.fixture
async def site():
    async with scripted_destination() as site:
        yield site


@pytest.fixture
async def post(site):
    """Post one attempt of a parcel; the destination's name is resolved by nobody but the check."""
    exchanges = []

    async def post(kept=None, *, number=1, url=None, checked=None, parcels=None):
        async def url_of(account_id):
            return url or site.url.replace("127.0.0.1", "hooks.test")

        exchange = WebhookExchange(
            parcels=parcels or Parcels(kept or parcel()),
            url_of=url_of,
            destinations=checked or Checked("hooks.test", "127.0.0.1"),
            clock=lambda: NOON,
        )
        exchanges.append(exchange)
        return await exchange.submit(attempt(number))

    yield post
    for exchange in exchanges:
        await exchange.close()


class TestSubmit:
    async def test_takes_2xx_as_all_of_it_filled_at_the_signals_price(self, post, site):
        taken = await post(number=3)

        assert (taken.trade.quantity, taken.trade.price, taken.exchange_order_id) == (
            1,
            Decimal("1.50"),
            ORDER_ID,
        )
        assert (taken.answer.http_status, json.loads(taken.answer.text)) == (200, {"accepted": True})
        assert site.keys == [ORDER_ID]

    async def test_knows_no_price_where_the_signal_named_none(self, post):
        taken = await post(parcel(price=None))

        assert taken.trade.price == 0

    @pytest.mark.parametrize("status", [400, 401, 404, 409, 301])
    async def test_a_refusal_is_final(self, post, site, status):
        site.troubles.append(status)

        with pytest.raises(Refused) as refusal:
            await post()

        assert refusal.value.code == "FORWARD_HTTP_ERROR"
        assert (refusal.value.answer.http_status, len(refusal.value.answer.text)) == (status, 500)

    @pytest.mark.parametrize(
        ("trouble", "number", "seconds"),
        [(500, 1, 1), (503, 2, 2), (429, 3, 4), (502, 9, 8), ((429, {"Retry-After": "90"}), 1, 90)],
    )
    async def test_what_may_pass_is_posted_again_with_back_off(self, post, site, trouble, number, seconds):
        site.troubles.append(trouble)

        with pytest.raises(RetryLater) as later:
            await post(number=number)

        assert (later.value.code, later.value.retry_after_seconds) == ("FORWARD_HTTP_ERROR", seconds)

    @pytest.mark.parametrize("trouble", ["silence", "reset", "garbage"])
    async def test_without_an_answer_it_depends_on_the_key(self, post, site, trouble):
        site.troubles.extend([trouble, trouble])

        with pytest.raises(NeverKnown) as end:
            await post()
        with pytest.raises(RetryLater) as later:
            await post(parcel(honours_idempotency=True))

        assert end.value.code == later.value.code == "FORWARD_TIMEOUT"
        assert end.value.answer.http_status is None
        assert "s3cr3t" not in str(end.value)

    async def test_what_could_not_be_reached_may_always_be_posted_again(self, post):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]

            with pytest.raises(RetryLater) as later:
                await post(url=f"http://hooks.test:{port}/s3cr3t")

        assert later.value.code == "FORWARD_UNREACHABLE"
        assert "s3cr3t" not in str(later.value)

    async def test_goes_nowhere_but_to_what_was_checked(self, post, site):
        with pytest.raises(Refused) as refusal:
            await post(checked=Checked("hooks.test", refusal="DESTINATION_FORBIDDEN"))
        with pytest.raises(RetryLater):
            await post(checked=Checked("hooks.test", refusal="DESTINATION_UNRESOLVED"))
        site.troubles.append("redirect")
        with pytest.raises(Refused):
            await post()

        assert "DESTINATION_FORBIDDEN" in refusal.value.message
        assert len(site.posts) == 1

    async def test_posts_nothing_that_another_has_by_now_or_that_is_gone(self, post, site):
        others = Parcels(parcel())
        others.is_others = True

        with pytest.raises(RetryLater):
            await post(parcels=others)
        with pytest.raises(Refused):
            await post(parcels=Parcels(None))

        assert site.posts == []


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            (None, 0), ("", 0), ("7", 7), (" 7 ", 7), ("999999", 3_600), ("soon", 0), ("-5", 0), ("1.5", 0), ("٣", 0),
            ("Sat, 21 Nov 2026 12:01:00 GMT", 60), ("Sat, 21 Nov 2026 11:00:00 GMT", 0), ("Sat, 99 Nov", 0),
        ],
    )  # fmt: skip
    def test_is_seconds_or_a_date(self, text, seconds):
        assert retry_seconds(text, now=datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) == seconds
