"""How our accounts stand at a Binance venue: rights, modes, margin, brackets; asked ahead of signals, changed ahead too."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from pregao.domain.clock import from_ms
from pregao.domain.instrument import Instrument
from pregao.domain.money import ZERO
from pregao.domain.order import PositionMode
from pregao.domain.preflight import (
    UNTOLD_RIGHTS,
    AccountRules,
    ClockReading,
    Funds,
    KeyRights,
    LeverageBracket,
    SymbolRules,
)
from pregao.domain.venue import MarginMode
from pregao.domain.weight import Importance, asking_for
from pregao.edges.exchanges.binance.exchange import (
    POSITION_MODE,
    BinanceExchange,
    position_mode_from,
)
from pregao.edges.exchanges.binance.rest import Call
from pregao.edges.exchanges.binance.translate import Json

KEY_RIGHTS = Call(method="GET", path="/sapi/v1/account/apiRestrictions")
ACCOUNT = Call(method="GET", path="/fapi/v3/account", weight=5)
SYMBOLS = Call(method="GET", path="/fapi/v1/symbolConfig", weight=5)
BRACKETS = Call(method="GET", path="/fapi/v1/leverageBracket")
SET_POSITION_MODE = Call(method="POST", path="/fapi/v1/positionSide/dual")
BRACKETS_SECONDS = 3_600.0
PRICE_AGE_SECONDS_MAX = 60.0  # it sizes nothing: the entry takes the price of its own moment

IsStreamed = Callable[[int], bool | None]


def follows_nobody(_account_id: int) -> bool | None:
    """Know of no stream."""
    return None


class BinanceAccounts:
    """The port `accounts.ports.AccountVenue`, beside the venue's ``BinanceExchange``."""

    def __init__(self, exchange: BinanceExchange) -> None:
        """Ask through the exchange's line; ``is_streamed`` is for whoever follows the streams to say."""
        self._exchange = exchange
        self._brackets: tuple[float, Mapping[str, Sequence[LeverageBracket]]] | None = None
        self.is_streamed: IsStreamed = follows_nobody

    async def key_rights(self, account_id: int) -> KeyRights:
        rights = self._exchange.rights
        if rights is None:
            return UNTOLD_RIGHTS
        return await rights.read(KEY_RIGHTS, {}, account_id=account_id, translate=_rights_from)

    async def account_rules(self, account_id: int) -> AccountRules:
        rules = await self._exchange.rest.read(
            POSITION_MODE, {}, account_id=account_id, translate=_rules_from
        )
        self._exchange.standing.position_modes[account_id] = rules.position_mode
        return rules

    async def funds(self, account_id: int) -> Funds:
        translate = partial(_funds_from, asset=self._exchange.settings.margin_asset)
        return await self._exchange.rest.read(ACCOUNT, {}, account_id=account_id, translate=translate)

    async def symbol_rules(self, account_id: int, symbols: Collection[str]) -> Mapping[str, SymbolRules]:
        translate = partial(_symbols_from, wanted=symbols)
        told = await self._exchange.rest.read(SYMBOLS, {}, account_id=account_id, translate=translate)
        self._exchange.standing.looked_at.add(account_id)
        for symbol, rules in told.items():
            self._exchange.standing.note_told(
                account_id, symbol, leverage=rules.leverage, margin_mode=rules.margin_mode
            )
        return told

    async def brackets(self, account_id: int) -> Mapping[str, Sequence[LeverageBracket]]:
        now = asyncio.get_running_loop().time()
        if self._brackets is None or now - self._brackets[0] > BRACKETS_SECONDS:
            told = await self._exchange.rest.read(
                BRACKETS, {}, account_id=account_id, translate=_brackets_from
            )
            self._brackets = now, told
        return self._brackets[1]

    async def instruments(self) -> Mapping[str, Instrument]:
        return await self._exchange.instruments()

    async def price(self, symbol: str) -> Decimal:
        known = self._exchange.prices.quote(symbol, age_seconds_max=PRICE_AGE_SECONDS_MAX)
        return (known or await self._exchange.quote(symbol)).last_price

    async def set_position_mode(self, account_id: int, mode: PositionMode) -> None:
        self._exchange.standing.position_modes.pop(account_id, None)
        is_hedge = mode is PositionMode.HEDGE
        await self._exchange.rest.change(
            SET_POSITION_MODE, {"dualSidePosition": is_hedge}, account_id=account_id
        )

    async def set_symbol(
        self, account_id: int, symbol: str, *, leverage: int, margin_mode: MarginMode
    ) -> None:
        with asking_for(Importance.REST):
            await self._exchange.ensure_leverage(
                account_id=account_id, symbol=symbol, leverage=leverage, margin_mode=margin_mode
            )

    def has_settings(self, account_id: int) -> bool:
        return account_id in self._exchange.standing.looked_at

    def clock_reading(self) -> ClockReading:
        clock = self._exchange.rest.clock
        if not clock.is_measured:
            return ClockReading(offset_ms=None)
        return ClockReading(
            offset_ms=clock.offset_ms, drift_ms=clock.drift_ms, measured_at=from_ms(clock.measured_ms)
        )


def _rights_from(body: Json) -> KeyRights:
    return KeyRights(
        may_trade=_flag(body["enableFutures"]),
        # A universal transfer leaves the futures wallet, not the owner's account: it is no withdrawal.
        may_withdraw=_flag(body["enableWithdrawals"]),
        has_address_list=_flag(body["ipRestrict"]),
    )


def _rules_from(body: Json) -> AccountRules:
    return AccountRules(position_mode=position_mode_from(body), may_trade=_flag(body["canTrade"]))


def _funds_from(body: Json, *, asset: str) -> Funds:
    own = next((row for row in body["assets"] if row["asset"] == asset), None)
    # With several assets as margin the totals count; with one, they are that asset's, and so is its row.
    balance = max(Decimal(body["totalMarginBalance"]), Decimal(own["marginBalance"]) if own else ZERO)
    available = max(Decimal(body["availableBalance"]), Decimal(own["availableBalance"]) if own else ZERO)
    return Funds(
        balance=balance,
        available=available,
        held=frozenset(str(row["symbol"]) for row in body["positions"] if _is_held(row)),
    )


def _is_held(row: Json) -> bool:
    """Say whether a row is a position, or has open orders: those bind margin too."""
    return any(Decimal(row.get(name) or 0) != ZERO for name in ("positionAmt", "initialMargin"))


def _symbols_from(rows: Any, *, wanted: Collection[str]) -> dict[str, SymbolRules]:
    return {
        str(row["symbol"]): SymbolRules(
            leverage=int(row["leverage"]), margin_mode=MarginMode(row["marginType"].lower())
        )
        for row in rows
        if row["symbol"] in wanted
    }


def _brackets_from(rows: Any) -> dict[str, tuple[LeverageBracket, ...]]:
    return {
        str(row["symbol"]): tuple(
            LeverageBracket(
                leverage_max=int(step["initialLeverage"]), notional_max=Decimal(str(step["notionalCap"]))
            )
            for step in row["brackets"]
        )
        for row in rows
    }


def _flag(value: object) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError("neither true nor false")
