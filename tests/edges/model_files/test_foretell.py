"""Models speak at every close, each once, whatever trouble the others have."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from pregao.edges.model_files.foretell import LATE_SECONDS, Foretelling
from pregao.edges.model_files.store import ModelFolder
from tests.edges.model_files.test_store import NOON, candles, trained

HOUR = 3_600_000


class Venue(httpx.BaseTransport):
    """Gives the hours of one symbol that have opened by its clock, the running one among them."""

    def __init__(self):
        self.bars = 2_900
        self.is_away = False
        self.asked = 0

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp((self.bars * HOUR + 90_000) / 1_000, tz=UTC)

    def handle_request(self, request):
        if self.is_away:
            return httpx.Response(403, text="stay away")
        if request.url.path == "/fapi/v1/time":
            return httpx.Response(200, json={"serverTime": self.bars * HOUR + 90_000})
        self.asked += 1
        first = max(0, -(-int(request.url.params["startTime"]) // HOUR))
        numbers = range(first, min(self.bars + 1, first + int(request.url.params["limit"])))
        return httpx.Response(200, json=[self.row(number) for number in numbers])

    def row(self, number):
        prices = (
            repr(float(getattr(candles(), name)[number]))
            for name in ("open", "high", "low", "close", "volume")
        )
        return [number * HOUR, *prices, (number + 1) * HOUR - 1]


@pytest.fixture
def venue():
    return Venue()


@pytest.fixture
def foretelling(venue, tmp_path):
    folder = ModelFolder(tmp_path / "models")
    folder.keep("btc_1h", trained(), now=NOON)
    with httpx.Client(transport=venue, base_url="http://venue") as client:
        yield Foretelling(folder=folder, client=client, sleep=lambda seconds: None, now=lambda: venue.now)


def test_a_model_speaks_of_the_last_closed_candle_until_the_next_should_have_come(foretelling, venue):
    [said] = foretelling.ask(["btc_1h"])

    foretold = said.foretold
    assert foretold.bar_at == datetime.fromtimestamp(2_899 * 3_600, tz=UTC)
    assert foretold.expires_at == foretold.bar_at + timedelta(hours=2, seconds=LATE_SECONDS)
    expected = foretelling.folder.get("btc_1h").predict(candles().part(0, 2_900))
    assert (foretold.direction, foretold.model_id) == (expected.direction, expected.model)
    assert foretold.confidence == Decimal(f"{expected.confidence:.6f}")


def test_a_model_is_asked_once_for_a_candle(foretelling, venue):
    first = [*foretelling.ask(["btc_1h"]), *foretelling.ask(["btc_1h"])]
    venue.bars += 1
    then = list(foretelling.ask(["btc_1h"]))

    assert [one.foretold.bar_at.timestamp() / 3_600 for one in (*first, *then)] == [2_899, 2_900]
    assert venue.asked == 2


def test_a_model_that_was_trained_anew_speaks_at_once(foretelling):
    [before] = foretelling.ask(["btc_1h"])
    foretelling.folder.keep("btc_1h", trained(), now=NOON)

    [after] = foretelling.ask(["btc_1h"])

    assert before.foretold.model_id != after.foretold.model_id


def test_trouble_is_told_once_and_is_the_models_own(foretelling, tmp_path):
    foretelling.folder.keep("broken", trained(), now=NOON)
    [path] = (tmp_path / "models").glob("broken@*")
    path.write_bytes(b"something else")

    told = list(foretelling.ask(["broken", "btc_1h", "missing"]))

    assert [(one.model, one.trouble.partition(":")[0]) for one in told] == [
        ("broken", "MODEL_CHECKSUM_DIFFERS"),
        ("btc_1h", ""),
        ("missing", "MODEL_MISSING"),
    ]
    assert list(foretelling.ask(["broken", "missing"])) == []


def test_a_venue_that_is_away_is_asked_again(foretelling, venue):
    venue.is_away = True
    [trouble] = foretelling.ask(["btc_1h"])
    venue.is_away = False
    [said] = foretelling.ask(["btc_1h"])

    assert trouble.trouble.startswith("KLINES_REFUSED")
    assert said.foretold is not None
