from decimal import Decimal

import pytest

from pregao.edges.exchanges.binance import ApiKey
from pregao.edges.exchanges.binance.signing import query_of, signed

# The example of the exchange's own documentation.
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
QUERY = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


class TestSigned:
    def test_agrees_with_the_documented_example(self):
        assert signed(QUERY, secret=SECRET) == f"{QUERY}&signature={SIGNATURE}"


class TestQuery:
    def test_keeps_the_order_of_its_parameters(self):
        assert query_of({"b": 1, "a": 2}) == "b=1&a=2"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (Decimal("0.0030"), "0.003"), (Decimal("1E+3"), "1000"), (Decimal("1E-8"), "0.00000001"),
            (True, "true"), (False, "false"), ("a b&c=d", "a%20b%26c%3Dd"), ("BTCUSDT", "BTCUSDT"),
        ],
    )  # fmt: skip
    def test_writes_values_as_the_venue_reads_them(self, value, text):
        assert query_of({"x": value}) == f"x={text}"


class TestApiKey:
    def test_never_prints_itself(self):
        assert "hush" not in f"{ApiKey('hush-key', 'hush-secret')!r} {ApiKey('hush-key', 'hush-secret')}"

    @pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "ä", "a b"])
    def test_refuses_what_breaks_a_header(self, key):
        with pytest.raises(ValueError, match="API_KEY_UNREADABLE") as refusal:
            ApiKey(key, "secret")

        assert key == "" or key not in str(refusal.value)
