"""Values that are made quickly are the values."""

import pickle
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from pregao.domain.makers import maker_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every value has."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(Base):
    """A value with a default, above another one."""

    symbol: str
    price: int | None = None


quote = maker_of(Quote)


class TestMakerOf:
    def test_makes_what_the_kind_makes(self):
        made, plain = quote(at=1, symbol="BTCUSDT"), Quote(at=1, symbol="BTCUSDT")

        assert type(made) is Quote
        assert (made, hash(made), repr(made)) == (plain, hash(plain), repr(plain))
        assert pickle.loads(pickle.dumps(made)) == copy(made) == plain
        assert replace(made, price=2) == Quote(at=1, symbol="BTCUSDT", price=2)

    def test_lets_nobody_change_what_is_made(self):
        made = quote(at=1, symbol="BTCUSDT", price=2)

        with pytest.raises(FrozenInstanceError):
            made.price = 3
        with pytest.raises(FrozenInstanceError):
            made.at = 3
        with pytest.raises(FrozenInstanceError):
            del made.price
        assert made == Quote(at=1, symbol="BTCUSDT", price=2)

    @pytest.mark.parametrize("values", [{"at": 1}, {"at": 1, "symbol": "X", "side": "buy"}, {"symbol": "X"}])
    def test_takes_neither_too_little_nor_too_much(self, values):
        with pytest.raises(TypeError):
            quote(**values)
