"""What shows and sets an account: balances, positions, leverage, modes, statement, listen keys."""

from decimal import Decimal
from typing import Any, Final

from pregao.domain.money import ZERO, to_text
from pregao.domain.order import PositionMode, PositionSide
from pregao.domain.venue import MarginMode
from pregao.edges.paper.calls import Call, Endpoint, Security
from pregao.edges.paper.wire import (
    Json,
    account_asset,
    account_position,
    account_position_v2,
    account_totals,
    balance_line,
    income_line,
    position_risk,
    position_risk_v2,
)
from pregao.simulation.books import Account, Position
from pregao.simulation.commands import CloseStream, OpenStream, SetLeverage, SetMarginMode, SetPositionMode
from pregao.simulation.fills import MAKER_FEE_RATE, TAKER_FEE_RATE
from pregao.simulation.limits import ORDERS_PER_10S_MAX, ORDERS_PER_MINUTE_MAX
from pregao.simulation.margin import Standing, Summary, find_standing, sign_of, summarize
from pregao.simulation.refusals import ExchangeError

SUCCESS: Final[Json] = {"code": 200, "msg": "success"}
HEDGE_SIDES: Final = (PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT)


def show_balance(call: Call) -> list[Json]:
    """``GET /fapi/v2/balance`` and ``/fapi/v3/balance``."""
    return [balance_line(call.account, _summary(call))]


def show_account(call: Call) -> Json:
    """``GET /fapi/v3/account``: positions that are open or have orders."""
    summary = _summary(call)
    return account_totals(summary) | {
        "assets": [account_asset(call.account, summary)],
        "positions": [account_position(standing) for standing in summary.standings],
    }


def show_account_v2(call: Call) -> Json:
    """``GET /fapi/v2/account``: every symbol, flat or not, and the account's permissions."""
    account, summary = call.account, _summary(call)
    head = {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": account.may_trade,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }
    asset = account_asset(account, summary) | {"marginAvailable": True}
    positions = [account_position_v2(account, standing) for standing in _all_standings(call, summary)]
    return head | account_totals(summary) | {"assets": [asset], "positions": positions}


def show_position_risk(call: Call) -> list[Json]:
    """``GET /fapi/v3/positionRisk``: positions that are open or have orders."""
    summary, floor = _summary(call), call.venue.exchange.floor
    symbol = call.params.get("symbol")
    return [
        position_risk(floor, summary, standing)
        for standing in summary.standings
        if not symbol or standing.position.symbol == symbol
    ]


def show_position_risk_v2(call: Call) -> list[Json]:
    """``GET /fapi/v2/positionRisk``: every symbol, flat or not."""
    account, summary, floor = call.account, _summary(call), call.venue.exchange.floor
    symbol = call.params.get("symbol")
    return [
        position_risk_v2(floor, account, summary, standing)
        for standing in _all_standings(call, summary)
        if not symbol or standing.position.symbol == symbol
    ]


def set_leverage(call: Call) -> Json:
    """``POST /fapi/v1/leverage``."""
    symbol, leverage = _symbol(call), call.find_number("leverage")
    if leverage is None:
        raise ExchangeError(-1102, "leverage")
    call.venue.execute(SetLeverage(at_ms=call.at_ms, key=call.key, symbol=symbol, leverage=leverage))
    notional_max = call.venue.listings[symbol].notional_max_at(leverage)
    return {"leverage": leverage, "maxNotionalValue": to_text(notional_max), "symbol": symbol}


def set_margin_type(call: Call) -> Json:
    """``POST /fapi/v1/marginType``."""
    modes = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSSED}
    mode = modes.get(call.text("marginType"))
    if mode is None:
        raise ExchangeError(-1130, "marginType")
    call.venue.execute(SetMarginMode(at_ms=call.at_ms, key=call.key, symbol=_symbol(call), margin_mode=mode))
    return SUCCESS


def show_position_mode(call: Call) -> Json:
    """``GET /fapi/v1/positionSide/dual``."""
    return {"dualSidePosition": call.account.position_mode is PositionMode.HEDGE}


def set_position_mode(call: Call) -> Json:
    """``POST /fapi/v1/positionSide/dual``."""
    is_hedge = call.find_flag("dualSidePosition")
    if is_hedge is None:
        raise ExchangeError(-1102, "dualsideposition")
    mode = PositionMode.HEDGE if is_hedge else PositionMode.ONE_WAY
    call.venue.execute(SetPositionMode(at_ms=call.at_ms, key=call.key, position_mode=mode))
    return SUCCESS


def show_multi_assets(_: Call) -> Json:
    """``GET /fapi/v1/multiAssetsMargin``: the paper exchange knows one asset."""
    return {"multiAssetsMargin": False}


def show_leverage_brackets(call: Call) -> list[Json]:
    """``GET /fapi/v1/leverageBracket``."""
    symbols = [_symbol(call)] if call.params.get("symbol") else list(call.venue.books.quotes)
    return [_brackets(call, symbol) for symbol in symbols]


def show_symbol_config(call: Call) -> list[Json]:
    """``GET /fapi/v1/symbolConfig``."""
    account = call.account
    symbols = [_symbol(call)] if call.params.get("symbol") else list(call.venue.books.quotes)
    return [
        {
            "symbol": symbol,
            "marginType": account.margin_mode_of(symbol).name,
            "isAutoAddMargin": False,
            "leverage": account.leverage_of(symbol),
            "maxNotionalValue": to_text(
                call.venue.listings[symbol].notional_max_at(account.leverage_of(symbol))
            ),
        }
        for symbol in symbols
    ]


def show_account_config(call: Call) -> Json:
    """``GET /fapi/v1/accountConfig``."""
    return {
        "feeTier": 0,
        "canTrade": call.account.may_trade,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": call.account.position_mode is PositionMode.HEDGE,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def show_key_rights(call: Call) -> Json:
    """``GET /sapi/v1/account/apiRestrictions``: what the key may do, told to the key itself."""
    rights = call.account.rights
    return {
        "ipRestrict": bool(rights.addresses),
        "createTime": call.account.opened_ms,
        "enableReading": True,
        "enableWithdrawals": rights.withdrawals,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": rights.futures,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }


def show_income(call: Call) -> list[Json]:
    """``GET /fapi/v1/income``."""
    symbol, kind = call.params.get("symbol"), call.params.get("incomeType")
    since, until = call.find_number("startTime") or 0, call.find_number("endTime") or call.at_ms
    found = [
        income_line(income)
        for income in call.account.incomes
        if (not symbol or income.symbol == symbol)
        and (not kind or income.kind == kind)
        and since <= income.booked_ms <= until
    ]
    limit = call.limit(100, most=1_000)
    return found[:limit] if since else found[-limit:]


def show_commission_rate(call: Call) -> Json:
    """``GET /fapi/v1/commissionRate``."""
    return {
        "symbol": _symbol(call),
        "makerCommissionRate": to_text(MAKER_FEE_RATE),
        "takerCommissionRate": to_text(TAKER_FEE_RATE),
        "rpiCommissionRate": "0.00005",
    }


def show_trading_status(call: Call) -> Json:
    """``GET /fapi/v1/apiTradingStatus``: nobody is restricted here."""
    return {"indicators": {}, "updateTime": call.at_ms}


def show_order_limits(_: Call) -> list[Json]:
    """``GET /fapi/v1/rateLimit/order``."""
    return [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_PER_10S_MAX},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": ORDERS_PER_MINUTE_MAX},
    ]


def open_stream(call: Call) -> Json:
    """``POST /fapi/v1/listenKey``: the same key while it lives, extended by an hour."""
    return {"listenKey": _extend(call)}


def extend_stream(call: Call) -> Json:
    """``PUT /fapi/v1/listenKey``."""
    if not call.account.listen_key:
        raise ExchangeError(-1125)
    return {"listenKey": _extend(call)}


def close_stream(call: Call) -> Json:
    """``DELETE /fapi/v1/listenKey``."""
    listen_key = call.account.listen_key
    if not listen_key:
        raise ExchangeError(-1125)
    call.venue.execute(CloseStream(at_ms=call.at_ms, key=call.key))
    call.venue.listen_keys.pop(listen_key, None)
    return {}


def _extend(call: Call) -> str:
    account = call.venue.execute(OpenStream(at_ms=call.at_ms, key=call.key))
    call.venue.listen_keys[account.listen_key] = account.key
    return account.listen_key


def _symbol(call: Call) -> str:
    return call.venue.exchange.floor.listing(call.text("symbol")).symbol


def _summary(call: Call) -> Summary:
    floor, account = call.venue.exchange.floor, call.account
    if call.as_of_ms < call.at_ms:
        account = _account_as_of(account, call.as_of_ms)
    return summarize(floor, account)


def _account_as_of(account: Account, as_of_ms: int) -> Account:
    # A read that lags: the positions and the wallet without the newest fills.
    older = Account(key=account.key, secret=None, wallet=account.wallet, opened_ms=account.opened_ms)
    older.position_mode = account.position_mode
    older.leverages, older.margin_modes = account.leverages, account.margin_modes
    older.incomes = account.incomes
    for income in reversed(account.incomes):
        if income.booked_ms <= as_of_ms:
            break
        older.wallet -= income.amount
    for fill in account.fills:
        if fill.traded_ms <= as_of_ms:
            _rebook(
                older.position(fill.symbol, fill.position_side),
                fill.quantity * sign_of(fill.side),
                fill.price,
            )
    return older


def _rebook(position: Position, signed: Decimal, price: Decimal) -> None:
    held = position.quantity
    if held and (held > ZERO) != (signed > ZERO):
        closed = min(abs(held), abs(signed)) * (1 if held > ZERO else -1)
        position.cost -= position.cost * closed / held
        position.quantity -= closed
        signed += closed
    position.quantity += signed
    position.cost += signed * price


def _all_standings(call: Call, summary: Summary) -> list[Standing]:
    account, floor = call.account, call.venue.exchange.floor
    known = {
        (standing.position.symbol, standing.position.position_side): standing
        for standing in summary.standings
    }
    sides = HEDGE_SIDES if account.position_mode is PositionMode.HEDGE else (PositionSide.BOTH,)
    return [
        known.get((symbol, side))
        or find_standing(floor, account, Position(symbol=symbol, position_side=side))
        for symbol in call.venue.books.quotes
        for side in sides
    ]


def _brackets(call: Call, symbol: str) -> Json:
    steps: list[dict[str, Any]] = []
    floor_notional = ZERO
    for number, bracket in enumerate(call.venue.listings[symbol].brackets, start=1):
        steps.append(
            {
                "bracket": number,
                "initialLeverage": bracket.leverage_max,
                "notionalCap": int(bracket.notional_max),
                "notionalFloor": int(floor_notional),
                "maintMarginRatio": float(bracket.maintenance_ratio),
                "cum": float(bracket.maintenance_deduction),
            }
        )
        floor_notional = bracket.notional_max
    return {"symbol": symbol, "notionalCoef": 1.0, "brackets": steps}


_SIGNED: Final = Security.SIGNED
ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {
    ("GET", "/fapi/v2/balance"): Endpoint(act=show_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/balance"): Endpoint(act=show_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/account"): Endpoint(act=show_account_v2, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/account"): Endpoint(act=show_account, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/positionRisk"): Endpoint(act=show_position_risk_v2, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/positionRisk"): Endpoint(act=show_position_risk, security=_SIGNED, weight=5),
    ("POST", "/fapi/v1/leverage"): Endpoint(act=set_leverage, security=_SIGNED),
    ("POST", "/fapi/v1/marginType"): Endpoint(act=set_margin_type, security=_SIGNED),
    ("GET", "/fapi/v1/positionSide/dual"): Endpoint(act=show_position_mode, security=_SIGNED, weight=30),
    ("POST", "/fapi/v1/positionSide/dual"): Endpoint(act=set_position_mode, security=_SIGNED),
    ("GET", "/fapi/v1/multiAssetsMargin"): Endpoint(act=show_multi_assets, security=_SIGNED, weight=30),
    ("GET", "/fapi/v1/leverageBracket"): Endpoint(act=show_leverage_brackets, security=_SIGNED),
    ("GET", "/fapi/v1/symbolConfig"): Endpoint(act=show_symbol_config, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/accountConfig"): Endpoint(act=show_account_config, security=_SIGNED, weight=5),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(act=show_key_rights, security=_SIGNED),
    ("GET", "/fapi/v1/income"): Endpoint(act=show_income, security=_SIGNED, weight=30),
    ("GET", "/fapi/v1/commissionRate"): Endpoint(act=show_commission_rate, security=_SIGNED, weight=20),
    ("GET", "/fapi/v1/apiTradingStatus"): Endpoint(act=show_trading_status, security=_SIGNED),
    ("GET", "/fapi/v1/rateLimit/order"): Endpoint(act=show_order_limits, security=_SIGNED),
    ("POST", "/fapi/v1/listenKey"): Endpoint(act=open_stream, security=Security.KEY),
    ("PUT", "/fapi/v1/listenKey"): Endpoint(act=extend_stream, security=Security.KEY),
    ("DELETE", "/fapi/v1/listenKey"): Endpoint(act=close_stream, security=Security.KEY),
}
