"""Lists of one's own: in the strategy, in a file that is read anew when it changes, by what a venue trades."""

from decimal import Decimal

import pytest

from pregao.domain.account import Venue
from pregao.domain.screener import Source
from pregao.domain.venue import RetryLater
from pregao.edges.exchanges.binance import BinanceExchange, VenueAddresses
from pregao.edges.exchanges.wire import Wire
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.screeners.lists import ListFile, StaticList
from pregao.edges.screeners.most_traded import MostTraded
from pregao.market.ports import ScreenError
from tests.builders import strategy
from tests.edges.exchanges.scripted_venue import StandingClock, key_of


async def refusal_of(screen, strategy):
    with pytest.raises(ScreenError) as refused:
        await screen.tickers(strategy)
    return refused.value.code


class TestStaticList:
    async def test_gives_what_the_strategy_says(self):
        assert await StaticList().tickers(strategy(tickers=("AAPL", "MSFT"))) == ("AAPL", "MSFT")


class TestListFile:
    @pytest.mark.parametrize(
        ("text", "tickers"),
        [
            ("AAPL\nMSFT\n", ["AAPL", "MSFT"]),
            ("# mine\nAAPL, MSFT; BTC-USDT  # and this\n\n", ["AAPL", "MSFT", "BTC-USDT"]),
            ("Rank,Symbol\n1,AAPL\n2,BRK-B\n", ["AAPL", "BRK-B"]),
            ("", []),
        ],
    )
    async def test_reads_lines_and_tables(self, tmp_path, text, tickers):
        (tmp_path / "mine.txt").write_text(text)

        assert await ListFile(tmp_path).tickers(strategy(source=Source.FILE, address="mine.txt")) == tickers

    async def test_reads_it_again_when_it_has_changed(self, tmp_path):
        path, mine = tmp_path / "mine.txt", strategy(source=Source.FILE, address="mine.txt")
        path.write_text("AAPL")
        files = ListFile(tmp_path)
        await files.tickers(mine)

        (tmp_path / "new").write_text("MSFT")
        (tmp_path / "new").replace(path)

        assert await files.tickers(mine) == ["MSFT"]

    @pytest.mark.parametrize("name", ["../env", "..", "sub/mine.txt", "/etc/hosts", "."])
    async def test_reads_nothing_outside_its_folder(self, tmp_path, name):
        (tmp_path / "env").write_text("SECRET")
        (tmp_path / "screener").mkdir()

        named = strategy(source=Source.FILE, address=name)

        assert await refusal_of(ListFile(tmp_path / "screener"), named) == "SCREENER_ADDRESS_UNUSABLE"

    async def test_says_when_it_is_missing_or_no_list(self, tmp_path):
        (tmp_path / "big").write_bytes(b"A" * 1_000_001)
        (tmp_path / "odd").write_bytes(b"\xff\xfe\x00")
        codes = [
            await refusal_of(ListFile(tmp_path), strategy(source=Source.FILE, address=name))
            for name in ("none", "big", "odd")
        ]

        assert codes == ["SCREENER_FILE_MISSING", "SCREENER_FILE_UNREADABLE", "SCREENER_FILE_UNREADABLE"]


class TestMostTraded:
    async def test_sorts_by_what_was_traded(self):
        async def volumes(venue):
            return {"ETHUSDT": Decimal(7), "BTCUSDT": Decimal(70), "XUSDT": Decimal(0), "ADAUSDT": Decimal(7)}

        found = await MostTraded(volumes).tickers(strategy(source=Source.MOST_TRADED, address="paper"))

        assert found == ["BTCUSDT", "ADAUSDT", "ETHUSDT"]

    async def test_says_that_the_venue_is_away(self):
        async def volumes(venue):
            raise RetryLater("TIMEOUT", "nobody there", retry_after_seconds=1.0)

        asked = strategy(source=Source.MOST_TRADED, address="paper")

        assert await refusal_of(MostTraded(volumes), asked) == "SCREENER_AWAY"

    async def test_reads_a_venues_day(self, tmp_path):
        """The paper exchange speaks Binance's protocol: the same adapter reads both."""
        server = PaperServer(PaperSettings(port=0, state_dir=tmp_path, simulate_seed=7))
        await server.start()
        clock = StandingClock()
        wire = Wire(clock=clock)
        exchange = BinanceExchange(
            addresses=VenueAddresses.paper(f"http://127.0.0.1:{server.port}"),
            wire=wire,
            credentials=key_of,
            clock=clock,
        )
        try:
            volumes = await exchange.day_volumes()

            async def of(venue):
                assert venue is Venue.PAPER
                return volumes

            found = await MostTraded(of).tickers(strategy(source=Source.MOST_TRADED, address="paper"))
        finally:
            await exchange.close()
            await wire.close()
            await server.stop()

        assert set(volumes) >= {"BTCUSDT", "ETHUSDT"}
        assert found == sorted(found, key=lambda symbol: (-volumes[symbol], symbol))
