"""F120: the breakers over the API and for Prometheus."""

from datetime import UTC, datetime

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from pregao.domain.breaker import VENUE, Breakers, BreakerScope
from pregao.edges.postgres.breakers import SharedBreakers
from pregao.edges.postgres.weights import SharedWeights
from tests.edges.http.api.own_desk import METRICS_TOKEN, TOKEN

BREAKERS = "/api/v1/breakers"
METRICS = "/metrics"


@pytest.fixture
async def trader(desk):
    """A trader's breakers: the venue works, a symbol does not."""
    breakers = Breakers(monotonic=lambda: 0.0, clock=lambda: datetime.now(UTC))
    breakers.get("paper", VENUE)
    symbol = breakers.get("paper:BTCUSDT", scope=BreakerScope.SYMBOL)
    for _ in range(3):
        symbol.fail(symbol.begin())
    shared = SharedBreakers(desk.journal.pool, breakers, told_by="trader-1", ring=lambda: None)
    await shared.look()
    return shared


@pytest.mark.usefixtures("trader")
class TestBreakers:
    async def test_f120_are_listed_with_all_that_is_known(self, desk):
        answer = await desk.client.get(BREAKERS)
        venue, symbol = answer.json()["items"]

        assert answer.json()["next_cursor"] is None
        assert (venue["name"], venue["scope"], venue["state"]) == ("paper", "service", "closed")
        assert (symbol["name"], symbol["scope"], symbol["state"]) == ("paper:BTCUSDT", "symbol", "open")
        assert (symbol["failure_count"], symbol["success_count"], symbol["half_open_calls"]) == (3, 0, 0)
        seconds = _instant(symbol["next_try_at"]) - _instant(symbol["changed_at"])
        assert 298 < seconds.total_seconds() < 302
        assert _instant(symbol["last_failure_time"]) <= _instant(symbol["next_try_at"])
        assert symbol["told_by"] == "trader-1"

    async def test_f120_are_for_staff(self, desk):
        for role, status in (("trader", 403), ("viewer", 403), ("operator", 200), ("admin", 200)):
            person = await desk.enroll(role, role)
            assert (await person.client.get(BREAKERS)).status_code == status


@pytest.mark.usefixtures("trader")
class TestMetrics:
    async def test_f120_tell_the_state_as_a_number(self, desk):
        scraper = await desk.coming_with(METRICS_TOKEN)
        answer = await scraper.get(METRICS)

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE pregao_breaker_state gauge\n" in answer.text
        assert 'pregao_breaker_state{name="paper",scope="service"} 0.0\n' in answer.text
        assert 'pregao_breaker_state{name="paper:BTCUSDT",scope="symbol"} 2.0\n' in answer.text

    async def test_tell_the_weight_used(self, desk):
        minute = await desk.journal.pool.fetchval(
            "SELECT floor(extract(epoch FROM clock_timestamp()) / 60)::bigint + 1"
        )
        weight = SharedWeights(desk.journal.pool, egress="office", ring=lambda: None).of("paper")
        await weight.draw(minute=minute, asked=40, used=7, weight_max=2400, limit=2280)
        scraper = await desk.coming_with(METRICS_TOKEN)
        answer = await scraper.get(METRICS)

        assert 'pregao_weight_used{egress="office",service="paper"} 7.0\n' in answer.text
        assert 'pregao_weight_drawn{egress="office",service="paper"} 47.0\n' in answer.text
        assert 'pregao_weight_max{egress="office",service="paper"} 2400.0\n' in answer.text

    async def test_are_read_by_prometheus_in_either_of_its_formats(self, desk):
        scraper = await desk.coming_with(METRICS_TOKEN)
        plain = await scraper.get(METRICS)
        accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        open_metrics = await scraper.get(METRICS, headers=accept)

        assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        for answer, read in ((plain, read_plain), (open_metrics, read_open_metrics)):
            told = {family.name: family.samples for family in read(answer.text)}
            assert [(one.labels["name"], one.value) for one in told["pregao_breaker_state"]] == [
                ("paper", 0),
                ("paper:BTCUSDT", 2),
            ]
            assert told["process_resident_memory_bytes"][0].value > 10_000_000

    @pytest.mark.parametrize("token", ["", TOKEN, METRICS_TOKEN[:-1]])
    async def test_take_the_scrapers_token_only(self, desk, token):
        stranger = await desk.coming_with(token)
        answer = await stranger.get(METRICS)

        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "TOKEN_WRONG"

    async def test_are_all_that_the_scrapers_token_opens(self, desk):
        scraper = await desk.coming_with(METRICS_TOKEN)

        assert (await scraper.get(BREAKERS)).status_code == 401


def _instant(text):
    return datetime.fromisoformat(text)
