"""Alerts as people write them, from one seed: in several forms and two languages, right, late, broken and again."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pregao.domain.order import Side
from pregao.domain.signal import Action

TAPE_SYMBOL = "LTCUSDT"
OTHER_SYMBOLS = {"ETHUSDT": "3000", "SOLUSDT": "150", "XRPUSDT": "2.2", "DOGEUSDT": "0.16"}
DISABLED_SYMBOL = "DOGEUSDT"
WEIGHTS = {TAPE_SYMBOL: 55, "ETHUSDT": 15, "SOLUSDT": 15, "XRPUSDT": 10, DISABLED_SYMBOL: 5}

KINDS = {
    "buy": 22, "sell": 22, "reverse": 8, "close": 14, "close_share": 13, "close_side": 6, "close_all": 3,
    "stale_entry": 5, "stale_close": 2, "unreadable": 5,
}  # fmt: skip
"""Of a hundred alerts."""
RESENT = ("at_once", "in_a_row", "later")

Write = Callable[[datetime], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What whoever wrote the alert meant: an instruction, or the code it must be refused with."""

    action: Action | None = None
    symbol: str | None = None
    side: Side | None = None
    share: Decimal | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert: which bot hears it, its text at the moment it is sent, and how often it is sent."""

    kind: str
    bot: int
    write: Write
    meaning: Meaning
    copies: int = 1  # the exact same bytes
    resent: str = (
        ""  # the copies come at_once, as from two of TradingView's servers, in_a_row, or the last one later
    )
    secret_in_header: bool = False


class Writer:
    """Writes random alerts; the same seed writes the same ones."""

    def __init__(self, chance: random.Random, *, bot_weights: list[int]) -> None:
        self._chance = chance
        self._bots = bot_weights
        self._number = 0

    def next(self) -> Alert:
        chance = self._chance
        self._number += 1
        kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
        write, meaning = getattr(self, f"_{kind}")()
        copies = chance.choices([1, 2, 4], weights=[86, 11, 3])[0]
        return Alert(
            kind=kind,
            bot=chance.choices(range(len(self._bots)), weights=self._bots)[0],
            write=write,
            meaning=meaning,
            copies=copies,
            resent=chance.choice(RESENT) if copies > 1 else "",
            secret_in_header=chance.random() < 0.3,
        )

    def _symbol(self) -> str:
        return self._chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]

    def _buy(self) -> tuple[Write, Meaning]:
        return self._entry(Side.BUY)

    def _sell(self) -> tuple[Write, Meaning]:
        return self._entry(Side.SELL)

    def _entry(self, side: Side) -> tuple[Write, Meaning]:
        symbol = self._symbol()
        meaning = Meaning(action=Action.ENTER, symbol=symbol, side=side)
        number, is_buy = self._number, side is Side.BUY
        quantity = (
            f"{1 + number / 10_000:.4f}"  # told apart from the alert before: there is no time in such a text
        )
        forms: list[Write] = [
            lambda now: _json(ticker=f"{symbol}.P", action=side.value, price="83.1", timenow=_iso(now)),
            lambda now: _json(
                ativo=symbol, acao="comprar" if is_buy else "vender", preco=83.1, enviadoem=_ms(now)
            ),
            lambda _: f"symbol={_dashed(symbol)};action={'long' if is_buy else 'short'};alertid=e{number}",
            lambda _: f"ativo={symbol}\nacao={'compra' if is_buy else 'venda'}\nsignalid=e{number}",
            lambda _: (
                f"order {side.value} @ {quantity} filled on {symbol}.P. "
                f"New strategy position is {'' if is_buy else '-'}{quantity}"
            ),
            lambda now: _json(strategy={"order_action": side.value}, ticker=symbol, timenow=_ms(now)),
            lambda now: _json(par=symbol.lower(), lado="comprado" if is_buy else "vendido", ts=_ms(now)),
        ]
        return self._chance.choice(forms), meaning

    def _reverse(self) -> tuple[Write, Meaning]:
        side, symbol = self._chance.choice(list(Side)), self._symbol()
        now_held, held_before = ("long", "short") if side is Side.BUY else ("short", "long")
        forms: list[Write] = [
            lambda now: _json(
                ticker=f"{symbol}.P", action=side.value, market_position=now_held,
                prev_market_position=held_before, timenow=_iso(now),
            ),
            lambda now: _json(ticker=symbol, action=f"reverse_to_{now_held}", ts=_ms(now)),
            lambda now: _json(ativo=symbol, acao="inverter", lado=side.value, enviadoem=_ms(now)),
        ]  # fmt: skip
        return self._chance.choice(forms), Meaning(action=Action.ENTER, symbol=symbol, side=side)

    def _close(self) -> tuple[Write, Meaning]:
        symbol, number = self._symbol(), self._number
        any_side = Meaning(action=Action.CLOSE, symbol=symbol)
        out_of_long = Meaning(action=Action.CLOSE, symbol=symbol, side=Side.SELL)
        forms: list[tuple[Write, Meaning]] = [
            (lambda now: _json(ticker=symbol, action="close", timenow=_iso(now)), any_side),
            (lambda _: f"acao=fechar;ativo={symbol};alertid=c{number}", any_side),
            (lambda _: f"order sell @ 1.{number:04d} filled on {symbol}. New strategy position is 0", any_side),
            (
                lambda now: _json(
                    ticker=symbol, price=83.1, action="sell", market_position="flat", position_size=0,
                    prev_market_position="long", timenow=_iso(now),
                ),
                out_of_long,
            ),
        ]  # fmt: skip
        return self._chance.choice(forms)

    def _close_side(self) -> tuple[Write, Meaning]:
        symbol, number = self._symbol(), self._number
        long = Meaning(action=Action.CLOSE, symbol=symbol, side=Side.SELL)
        short = Meaning(action=Action.CLOSE, symbol=symbol, side=Side.BUY)
        forms: list[tuple[Write, Meaning]] = [
            (lambda now: _json(ticker=symbol, action="close_long", timenow=_iso(now)), long),
            (lambda _: f"acao=fecharvenda;ativo={symbol};alertid=s{number}", short),
            (lambda now: _json(ticker=symbol, action="exit", side="short", timenow=_iso(now)), short),
        ]
        return self._chance.choice(forms)

    def _close_share(self) -> tuple[Write, Meaning]:
        symbol, number = self._symbol(), self._number
        percent = self._chance.choice([10, 25, 33, 50, 75, 100])
        share = Decimal(percent) / 100
        any_side = Meaning(action=Action.CLOSE, symbol=symbol, share=share)
        forms: list[tuple[Write, Meaning]] = [
            (lambda now: _json(ticker=symbol, action="close", percent=percent, timenow=_iso(now)), any_side),
            (lambda _: f"acao=fechar;ativo={symbol};percentual={percent};alertid=p{number}", any_side),
            (
                lambda now: _json(
                    ticker=_dashed(symbol), action="reduce_long", qty=f"{percent}%", ts=_ms(now)
                ),
                Meaning(action=Action.CLOSE, symbol=symbol, side=Side.SELL, share=share),
            ),
        ]
        return self._chance.choice(forms)

    def _close_all(self) -> tuple[Write, Meaning]:
        number = self._number
        forms: list[Write] = [
            lambda now: _json(action="close_all", timenow=_iso(now)),
            lambda _: f"acao=fechartudo;alertid=a{number}",
        ]
        return self._chance.choice(forms), Meaning(action=Action.CLOSE_ALL)

    def _stale_entry(self) -> tuple[Write, Meaning]:
        symbol, side = self._symbol(), self._chance.choice(list(Side))
        age = timedelta(seconds=self._chance.randint(65, 4_000))
        return (
            lambda now: _json(ticker=symbol, action=side.value, timenow=_iso(now - age)),
            Meaning(refusal="SIGNAL_STALE"),
        )

    def _stale_close(self) -> tuple[Write, Meaning]:
        symbol = self._symbol()
        age = timedelta(seconds=self._chance.randint(65, 4_000))
        return (
            lambda now: _json(ticker=symbol, action="close", timenow=_iso(now - age)),
            Meaning(action=Action.CLOSE, symbol=symbol),
        )

    def _unreadable(self) -> tuple[Write, Meaning]:
        symbol, number = self._symbol(), self._number
        forms: list[tuple[Write, str]] = [
            (lambda now: _json(ticker=symbol, action="hodl", timenow=_iso(now)), "ACTION_UNKNOWN"),
            (lambda _: f'{{"ticker": "{symbol}", "action": "buy", "n": {number}', "JSON_MALFORMED"),
            (lambda now: _json(action="buy", timenow=_iso(now)), "SYMBOL_MISSING"),
            (
                lambda now: _json(ticker=symbol, action="{{strategy.order.action}}", timenow=_iso(now)),
                "PLACEHOLDER_UNFILLED",
            ),
            (
                lambda now: _json(ticker=symbol, action="buy", order_type="limit", timenow=_iso(now)),
                "UNSUPPORTED_INTENT",
            ),
            (
                lambda now: _json(ticker=symbol, action="scale_in", side="buy", timenow=_iso(now)),
                "UNSUPPORTED_INTENT",
            ),
            (lambda now: _json(ticker=symbol, action="none", timenow=_iso(now)), "NOTHING_TO_TRADE"),
            (lambda _: f"bom dia, {number}", "FORM_UNKNOWN"),
        ]
        write, code = self._chance.choice(forms)
        return write, Meaning(refusal=code)


def _json(**fields: object) -> str:
    return json.dumps(fields)


def _iso(now: datetime) -> str:
    return now.isoformat().replace("+00:00", "Z")


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1_000)


def _dashed(symbol: str) -> str:
    return f"{symbol.removesuffix('USDT')}-USDT"
