"""
The names senders give their fields, and what each of them means to the desk.

Names are compared without case, accents, spaces, dots, dashes and underscores: ``orderType`` is ``order_type``.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

Found: TypeAlias = dict[str, list[tuple[str, object]]]
"""What a body says: for each meaning the fields that carry it, as (name as written, value)."""

_SPELLINGS: dict[str, str] = {
    "symbol": "ticker symbol pair instrument tvinstrument tradingsymbol tickerid simbolo ativo par papel"
    " symbols tickers pairs stocks instruments ativos",
    "base": "asset coin moeda",
    "action": "action acao orderaction strategyorderaction tradeaction",
    "hint": "order signal sinal operation operacao command comando cmd ordem event eventtype signaltype type tipo",
    "side": "side lado direction direcao orderside tradeside",
    "position_side": "positionside posside ladoposicao",
    "mode": "mode modo",
    "position_now": "marketposition currentposition strategymarketposition newposition",
    "position": "position posicao",
    "position_before": "prevmarketposition previousmarketposition strategyprevmarketposition prevposition"
    " previousposition",
    "sentiment": "sentiment sentimento",
    "size_now": "positionsize strategypositionsize",
    "size_now_unsigned": "marketpositionsize strategymarketpositionsize",
    "size_before": "prevpositionsize previouspositionsize",
    "reduce_only": "reduceonly somentereduzir",
    "close_position": "closeposition fecharposicao",
    "close_all": "closeall closeallpositions fechartudo",
    "close": "close fechar",
    "quantity": "qty quantity contracts ordercontracts strategyordercontracts amount orderamount unit units size"
    " ordersize shares lots lot lote lotes quantidade qtd q vollots risk risco voldollar riskmoney riskusd notional"
    " notionalusdt notionalusdc notionalusd quoteqty quoteorderqty quoteamount usdtamount amountusd amountusdt"
    " sizeusd sizeusdt",
    "percent": "percentage percent pct percentual porcentagem closepercentage closepercent closepct"
    " percentagetoclose percenttoclose percentclose sizepercentage qtypercent qtypct quantitypercent",
    "percent_of_balance": "balancepercentage balancepercent balancepct equitypercent equitypercentage equitypct"
    " percentofbalance percentofequity volbalpct voleqpct",
    "volume": "volume",
    "quantity_kind": "qtymode qtytype quantitytype sizetype currencytype quantitymode",
    "category": "category",
    "price": "limitprice price preco orderprice strategyorderprice entry entryprice triggerprice precolimite",
    "order_type": "ordertype pricetype tipoordem",
    "sent_at": "timenow sentat alerttime alerttimestamp timestamp signalts signaltime senttime enviadoem ts",
    "event_id": "signalid alertid eventid idempotencykey dedupekey deliveryid messageid clientorderid nonce",
    "id": "id orderid uuid guid strategyorderid",
    "note": "comment ordercomment strategyordercomment alertmessage orderalertmessage strategyorderalertmessage",
    "message": "message text msg mensagem texto condition content",
    "message_type": "messagetype",
    "bar": "open high low volume time bartime barts interval timeframe bar",
    "orders": "orders signals trades legs alerts ordens",
    "secret": "secret passphrase password token key auth apikey authkey authtoken accesstoken webhooksecret"
    " webhookkey webhooktoken apitoken apisecret senha chave segredo signature emailtoken authorization",
}

MEANINGS: dict[str, str] = {
    spelling: meaning for meaning, spellings in reversed(_SPELLINGS.items()) for spelling in spellings.split()
}

CONTAINERS: dict[str, str | None] = {
    **dict.fromkeys(
        ("general", "order", "tradesignal", "signal", "data", "dados", "payload", "alert", "trade")
    ),
    **dict.fromkeys(("market", "strategy", "strategyinfo"), "position_now"),
}
"""Objects within the body that belong to the order, and what a field called ``position`` means in them."""

_NOT_USED = re.compile(
    r"(?:long|short|initial)?(?:sl|tp|stop|stoploss|takeprofit|target|trail|trailing|leverage|alavancagem|margin"
    r"|marginmode|risk|breakeven|alvo)(?:s|price|loss|pips|percent|percentage|pct|points|offset|usd|configuration"
    r"|targets|stop|mode|usdt|usdc|level|preco|limit|activation|callback|entry|\d)*",
)
_DECIDING = frozenset(
    {"action", "side", "position_side", "position_now", "position", "position_before", "sentiment"}
)
_FLAGS = frozenset({"reduce_only", "close_position", "close_all"})
_HINTS = frozenset(
    ["order", "signal", "sinal", "operation", "operacao", "command", "comando", "ordem", "signaltype"]
)
_CUT_SHORT = ("action", "side", "direction", "signal", "order", "position", "marketposition")
_LETTERS_MIN = 4  # a shorter name is almost everything


def _with_one_lost(name: str) -> set[str]:
    return {name[:at] + name[at + 1 :] for at in range(len(name))}


def _almost(names: Iterable[str]) -> frozenset[str]:
    # The names, and each with one letter lost: two names that share one of these differ by one slip of the hand.
    kept = {name for name in names if len(name) >= _LETTERS_MIN}
    return frozenset(kept.union(*map(_with_one_lost, kept)))


_ALMOST: dict[str, frozenset[str]] = {
    "almost_word": _almost(name for name, of in MEANINGS.items() if of in _DECIDING or name in _HINTS)
    | {name[:length] for name in _CUT_SHORT for length in range(3, len(name))},
    "almost_flag": _almost(name for name, of in MEANINGS.items() if of in _FLAGS),
}
_ALMOST_CONTAINERS = _almost(CONTAINERS)
_ALMOST_CHARACTERS_MAX = 1 + max(len(name) for names in _ALMOST.values() for name in names)

_SEPARATORS = str.maketrans("", "", " _-.\t")
NAME_CHARACTERS_MAX = 64  # longer names are no names we know, and would fill the cache


def plain(name: str) -> str:
    """Give a name or a word without case, accents and separators; what is too long for either as it is."""
    return _plain(name) if len(name) <= NAME_CHARACTERS_MAX else name


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    if not name.isascii():
        name = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return name.lower().translate(_SEPARATORS)


def meaning_of(name: str) -> str | None:
    """
    Give what a field of this name means; None when it says nothing to us.

    "not_used" are the sender's own risk settings; "almost_word" and "almost_flag" are one slip of the hand away
    from a name that decides.
    """
    return _meaning_of(name) if len(name) <= NAME_CHARACTERS_MAX else None


@lru_cache(maxsize=4096)
def _meaning_of(name: str) -> str | None:
    spelling = _plain(name)
    meaning = MEANINGS.get(spelling)
    if meaning is not None:
        return meaning
    if _NOT_USED.fullmatch(spelling):
        return "not_used"
    return next((kind for kind, names in _ALMOST.items() if _is_almost(spelling, names)), None)


def _is_almost(name: str, names: frozenset[str]) -> bool:
    if len(name) > _ALMOST_CHARACTERS_MAX:
        return False
    return name in names or not names.isdisjoint(_with_one_lost(name))


def gather(document: dict[str, object]) -> Found:
    """Give what every field of a JSON object or of ``key=value`` text means, in the order written."""
    found: Found = {}
    for name, value in document.items():
        if type(value) is dict:
            _gather_within(name, value, found=found, depth=1)
            continue
        meaning = _meaning_of(name) if len(name) <= NAME_CHARACTERS_MAX else None
        if meaning is not None:
            if meaning in found:
                found[meaning].append((name, value))
            else:
                found[meaning] = [(name, value)]
    return found


def _gather_within(path: str, document: dict[str, object], *, found: Found, depth: int) -> None:
    container = plain(path.rpartition(".")[2])
    belongs = container in CONTAINERS
    if not belongs and meaning_of(path) == "not_used":
        found.setdefault("not_used", []).append((path, None))
    for name, value in document.items():
        if type(value) is dict:
            if belongs and depth < 3:
                _gather_within(f"{path}.{name}", value, found=found, depth=depth + 1)
            continue
        meaning = meaning_of(name)
        if meaning == "position":
            meaning = CONTAINERS.get(container) or meaning
        elif meaning == "id":
            meaning = "note"  # strategy.order.id names the order in the script, not this event
        if not belongs and (meaning in _DECIDING or meaning in _FLAGS):
            if _is_almost(container, _ALMOST_CONTAINERS) or _is_almost(plain(path), _ALMOST_CONTAINERS):
                found.setdefault("almost_flag" if meaning in _FLAGS else "almost_word", []).append(
                    (path, value)
                )
        elif meaning is not None and (belongs or (meaning == "secret" and depth == 1)):
            found.setdefault(meaning, []).append((f"{path}.{name}", value))
