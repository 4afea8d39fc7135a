"""Nothing the console says is missing in Portuguese, and figures are written as people there write them."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from pregao.domain.alert import AlertKind, AlertLevel
from pregao.domain.level import Level, Method
from pregao.domain.order import Leg, OrderStatus, Side
from pregao.domain.position import Direction, PositionStatus
from pregao.domain.preflight import Check, Light, Result
from pregao.domain.screener import Source
from pregao.domain.signal import Action
from pregao.domain.stop_rule import StopRule, TargetRule, Trailing, TrailingMode
from pregao.domain.strategy import DESCRIPTIONS
from pregao.domain.trading_state import ScopeLevel, TradingState
from pregao.domain.user import Role
from pregao.edges.http.api.activity import SignalStatus
from pregao.edges.http.console.languages import CATALOGS, LANGUAGES, language, values_of
from pregao.edges.http.console.rendering import HOME, PLACES, WORDS, templates
from pregao.signals.messages import MESSAGES
from pregao.views.activity import ORDER_PHASES

TEMPLATES = sorted((HOME / "templates").rglob("*.html"))


def said_on_pages() -> set[str]:
    said = set(WORDS) | {text for place in PLACES for text in (place.title, place.group)}
    said |= {text for one in MESSAGES for text in (one.name, one.says)}
    for page in TEMPLATES:
        with page.open("rb") as file:
            for _, _, told, _ in babel_extract(file, ["_", "said"], [], {}):
                # One with values is told with their places beside it.
                text = told[0] if isinstance(told, tuple) else told
                said |= {text} if isinstance(text, str) else set()
        said |= set(re.findall(r'data-done="([^"]+)"', page.read_text(encoding="utf-8")))
    return said


def said_of_values() -> set[str]:
    kinds = (
        Source,
        AlertKind,
        AlertLevel,
        OrderStatus,
        Side,
        Leg,
        PositionStatus,
        Direction,
        Light,
        Check,
        Result,
        Action,
        ScopeLevel,
        TradingState,
        Role,
    )
    meanings = {told.meaning for one in DESCRIPTIONS.values() for told in (one, *one.parameters)}
    return (
        {str(one.value) for kind in kinds for one in kind}
        | {*SignalStatus.__args__, *ORDER_PHASES}
        | meanings
    )


class TestCatalog:
    def test_says_all_that_pages_say(self):
        words = language("pt-BR").words

        assert sorted((said_on_pages() | said_of_values()) - set(words)) == []

    def test_says_nothing_twice_and_nothing_half(self):
        entries = []
        for page in (CATALOGS / "pt-BR").glob("*.po"):
            with page.open("rb") as file:
                entries += [entry for entry in read_po(file) if entry.id]

        ids = [entry.id for entry in entries]
        assert sorted({one for one in ids if ids.count(one) > 1}) == []
        assert [entry.id for entry in entries if not entry.string or entry.fuzzy] == []
        values = [
            (set(re.findall(r"{\w+}", entry.id)), set(re.findall(r"{\w+}", entry.string)))
            for entry in entries
        ]
        assert [pair for pair in values if pair[0] != pair[1]] == []


class TestLanguage:
    @pytest.mark.parametrize(
        ("tag", "shown"), [("pt-BR", ("1.234,5", "-1.234,50")), ("en", ("1,234.5", "-1,234.50"))]
    )
    def test_writes_figures_as_people_there_do_and_keeps_all_of_them(self, tag, shown):
        said = language(tag)

        number, result = said.number(Decimal("1234.5")), said.result(Decimal("-1234.4999"))

        assert (f">{shown[0]}<" in number, f">{shown[1]}<" in result) == (True, True)
        assert 'title="-1234.4999"' in result
        assert 'class="loss"' in result

    def test_says_nothing_of_what_is_not_known(self):
        said = language("en")

        assert {
            said.number(None),
            said.money(None),
            said.result(None),
            said.moment(None),
            said.milliseconds(None),
        } == {"–"}

    def test_nothing_earned_is_neither_gain_nor_loss(self):
        assert 'class="even"' in language("en").result(Decimal(0))

    def test_gives_a_moment_in_utc_for_whoever_has_no_scripts(self):
        shown = language("en").moment(datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC))

        assert (
            shown
            == '<time datetime="2026-11-22T01:02:03+00:00" title="2026-11-22 01:02:03 UTC">2026-11-22 01:02:03</time>'
        )

    def test_there_is_a_catalog_for_every_language_but_english(self):
        assert {folder.name for folder in CATALOGS.iterdir()} == set(LANGUAGES) - {"en"}


class TestWhy:
    """What a code means is said in the reader's language; the desk's values stand beside it."""

    def test_says_what_it_means_and_keeps_the_values_and_the_words(self):
        told = "quantity=0.001 minimum=0.002 instrument=BTCUSDT. Raise margin or leverage."

        said = language("pt-BR").why("QUANTITY_BELOW_MINIMUM", told)

        assert re.sub(r"<[^>]+>", "", said) == (
            "A quantidade é menor que o mínimo do símbolo. Aumente margem ou alavancagem; feche uma parte maior."
            " quantity 0.001 minimum 0.002 instrument BTCUSDT"
        )
        assert f'title="{told}"' in said

    @pytest.mark.parametrize(("tag", "code"), [("en", "SYMBOL_OWNED"), ("pt-BR", "-2019"), ("pt-BR", None)])
    def test_leaves_the_desks_words_where_it_has_none_of_its_own(self, tag, code):
        assert language(tag).why(code, "a <b> c") == "a &lt;b&gt; c"

    @pytest.mark.parametrize(
        ("told", "values"),
        [
            (None, []),
            ("It was asked. x=1", []),
            ("level=account name=Ana, paper version=3", [("level", "account"), ("name", "Ana, paper"), ("version", "3")]),
            ("status=paused. It only closes.", [("status", "paused")]),
            ("late_seconds=1.5. Too late: a=b", [("late_seconds", "1.5")]),
            ("MONTHLY_DRAWDOWN: loss=900", [("loss", "900")]),
        ],
    )  # fmt: skip
    def test_tells_values_from_the_sentence_behind_them(self, told, values):
        assert values_of(told) == values

    def test_runs_nothing_that_a_value_holds(self):
        said = language("pt-BR").why("TRADING_HALTED", 'reason=<script>"x" version=1')

        assert "<script>" not in said
        assert '"x"' not in said


class TestAlerts:
    """An alert is said in the reader's language by its code; what a person wrote, and what is older than codes, stands as it is."""

    def test_is_said_after_what_it_is_about_with_the_values_beside_it(self):
        said = language("pt-BR")
        text = said.text_of(
            "EXIT_HELD_UP", "Wait. Meanwhile: x", {"guardrail": "KILL_SWITCH", "attempts": "2"}
        )

        assert said.title_of("EXIT_HELD_UP", "BTCUSDT", "told") == (
            "BTCUSDT: Uma saída disparada está retida por uma proteção."
        )
        assert re.sub(r"<[^>]+>", "", text) == (
            "O que ela diz está ao lado. guardrail KILL_SWITCH (Um operador bloqueou as saídas: esta espera,"
            " e a ordem da corretora fica. Libere as saídas, ou feche à mão.) attempts 2"
        )

    def test_keeps_a_persons_reason(self):
        said = language("pt-BR")

        assert said.title_of("TRADING_STOPPED", "", "told") == "Negociação parada."
        assert "too <wild>" in unescape(said.text_of("TRADING_STOPPED", "too <wild>", {}))
        assert "<wild>" not in said.text_of("TRADING_STOPPED", "too <wild>", {})

    @pytest.mark.parametrize(("tag", "code"), [("en", "EXIT_HELD_UP"), ("pt-BR", "")])
    def test_stands_as_it_was_told_where_there_are_no_other_words(self, tag, code):
        said = language(tag)

        assert (said.title_of(code, "BTCUSDT", "a title"), said.text_of(code, "a text", {"n": "1"})) == (
            "a title", "a text",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("tag", "plainly"),
        [
            ("pt-BR", "Outra assinatura tem uma posição neste símbolo e nesta conta. Use outra conta para uma delas. x 1"),
            ("en", "x=1. Other."),
        ],
    )  # fmt: skip
    def test_a_notice_has_no_markup(self, tag, plainly):
        assert language(tag).plainly("SYMBOL_OWNED", "x=1. Other.") == plainly


class TestRules:
    """A stop's rule is said whole, whatever stands in it."""

    @pytest.mark.parametrize("tag", ["en", "pt-BR"])
    @pytest.mark.parametrize("method", list(Method))
    @pytest.mark.parametrize("mode", list(TrailingMode))
    def test_are_said_in_both_languages(self, tag, method, mode):
        level = Level(method=method, value=Decimal("2.5"))
        rule = StopRule(
            stop=None if method is Method.RISK else level,
            targets=(TargetRule(level=level),),
            trailing=Trailing(mode=mode),
            break_even_after_target=True,
        )
        rules = templates().get_template("guards/rule.html").module
        told = language(tag)

        said = rules.said_of(rule, told, told.say).strip()

        assert said.count(", ") == (2 if method is Method.RISK else 3)
        assert ("alvo" if tag == "pt-BR" else "target") in said
        assert said.count("2,5" if tag == "pt-BR" else "2.5") == (1 if method is Method.RISK else 2)
