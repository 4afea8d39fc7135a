"""Facts are immutable, aware of their time, and survive the journal to the last digit."""

import dataclasses
import types
import typing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.domain import facts
from pregao.domain.facts import FACTS, Fact
from pregao.edges.postgres.journal import decode, encode
from tests.properties import instants, quick

JOURNALED = [kind for kind in FACTS.values() if kind.is_journaled]

decimals = st.decimals(min_value=-(10**15), max_value=10**15, places=18) | st.decimals(
    allow_nan=False, allow_infinity=False
)
SIMPLE = {
    str: st.text(max_size=20),
    int: st.integers(min_value=-(2**63), max_value=2**63 - 1),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),  # what a strategy is set to; never money
    bytes: st.binary(max_size=40),
    Decimal: decimals,
    datetime: instants,
    date: st.dates(),
    time: st.times().map(lambda told: told.replace(fold=0)),
    UUID: st.uuids(),
    types.NoneType: st.none(),
}


def values_of(kind):
    """Give a strategy for any type a fact is made of."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in SIMPLE:
        return SIMPLE[kind]
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(values_of(one) for one in arguments))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    assert dataclasses.is_dataclass(kind), f"no strategy for {kind}"
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(kind)})


class TestFacts:
    @pytest.mark.parametrize("kind", JOURNALED, ids=lambda kind: kind.__name__)
    @settings(quick, max_examples=15)
    @given(data=st.data())
    def test_are_read_back_as_they_were_written(self, kind, data):
        """Rebuilding the state from the journal is only worth something when no digit is lost on the way."""
        fact = data.draw(values_of(kind))

        again = decode(kind.__name__, encode(fact))

        assert again == fact
        assert repr(again) == repr(fact)

    @pytest.mark.parametrize("kind", FACTS.values(), ids=lambda kind: kind.__name__)
    def test_cannot_be_changed(self, kind):
        assert kind.__dataclass_params__.frozen
        assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)

    @pytest.mark.parametrize("kind", FACTS.values(), ids=lambda kind: kind.__name__)
    def test_say_when_they_happened(self, kind):
        assert typing.get_type_hints(kind)["happened_at"] is datetime

    @quick
    @given(data=st.data(), kind=st.sampled_from(JOURNALED))
    def test_happened_at_an_aware_instant_in_utc(self, data, kind):
        fact = decode(kind.__name__, encode(data.draw(values_of(kind))))

        assert fact.happened_at.utcoffset() == datetime.now(UTC).utcoffset()

    def test_are_all_in_the_table_of_facts(self):
        """A fact that is not there has no decoder: it could be written and never read."""
        defined = {
            one
            for one in vars(facts).values()
            if isinstance(one, type) and issubclass(one, Fact) and one is not Fact
        }

        assert set(FACTS.values()) == defined

    def test_are_named_by_themselves(self):
        assert all(name == kind.__name__ for name, kind in FACTS.items())

    def test_reads_a_bot_written_before_secrets_could_be_rotated(self):
        """A journal is read for ever: what came later has the value it had before there was a word for it."""
        written = (
            '{"happened_at": "2026-11-21T12:00:00Z", "bot": {"bot_id": "00000000-0000-0000-0000-000000000001", '
            '"name": "EMA", "webhook_path": "bot-ema-cross-15m", "secret_sha256": "ab"}}'
        )

        bot = decode("BotConfigured", written).bot

        assert (bot.secret_sha256, bot.former_secret_sha256, bot.former_secret_until) == ("ab", None, None)
