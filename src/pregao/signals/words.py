"""The words of an alert, in English and Portuguese, and the intent they add up to. What they leave open is refused."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pregao.domain.order import Side
from pregao.domain.signal import Intent
from pregao.signals.fields import plain
from pregao.signals.unreadable import Unreadable, has_placeholder, shown, unfilled

Act: TypeAlias = Literal[
    "open", "close", "close_all", "target", "reverse", "reduce", "add", "cancel", "nothing", "start"
]
Holding: TypeAlias = Literal["long", "short", "flat"]
Meaning: TypeAlias = tuple[Intent, Side | None]


@dataclass(frozen=True, slots=True)
class Word:
    """What one word says: what to do, which way the order trades, which position it is about."""

    act: Act | None = None
    side: Side | None = None
    position: Holding | None = None


BUY, SELL = Word(side=Side.BUY), Word(side=Side.SELL)
LONG, SHORT = Word(position="long"), Word(position="short")
ENTER, OPEN, CLOSE = Word("open", Side.BUY), Word("open"), Word("close")
CLOSE_ALL, REVERSE, TARGET = Word("close_all"), Word("reverse"), Word("target")
CLOSE_LONG, CLOSE_SHORT = Word("close", position="long"), Word("close", position="short")

_SPELLINGS: dict[Word, str] = {
    BUY: "buy compra comprar compre",
    SELL: "sell venda vender venda",
    LONG: "long comprado",
    SHORT: "short vendido",
    Word(
        "open", position="long"
    ): "enterlong openlong entrylong longentry entrylong golong buytoopen abrircompra"
    " abrirlong entrarcomprado",
    Word("open", position="short"): "entershort openshort entryshort shortentry goshort selltoopen sellshort"
    " abrirvenda abrirshort entrarvendido",
    ENTER: "enter",
    OPEN: "open entry abrir entrada entrar",
    CLOSE: "exit close flat flatten closeposition exitposition fechar sair saida encerrar zerar fecharposicao"
    " zerarposicao",
    CLOSE_LONG: "closelong exitlong longexit longclose selltoclose closebuy exitbuy closeentry(s)orderlong"
    " closepositionorderlong fecharlong fecharcompra fecharcomprado sairlong",
    CLOSE_SHORT: "closeshort exitshort shortexit shortclose buytoclose buytocover cover closesell exitsell"
    " closeentry(s)ordershort closepositionordershort fecharshort fecharvenda fecharvendido sairshort",
    CLOSE_ALL: "closeall exitall flattenall closeallpositions fechartudo fechartodas zerartudo sairdetudo",
    TARGET: "tp sl tp1 tp2 tp3 tp4 tp5 takeprofit stoploss alvo",
    REVERSE: "reverse flip reverter inverter",
    Word("reverse", position="long"): "reversetolong fliptolong",
    Word("reverse", position="short"): "reversetoshort fliptoshort",
    Word("reduce"): "reduce trim reduzir parcial",
    Word("reduce", position="long"): "reducelong reduzirlong reduzircompra",
    Word("reduce", position="short"): "reduceshort reduzirshort reduzirvenda",
    Word("add"): "add increase scalein aumentar adicionar",
    Word("add", position="long"): "addlong addtolong",
    Word("add", position="short"): "addshort addtoshort",
    Word("cancel"): "cancel cancelar cancelall",
    Word("nothing"): "hold none wait nothing info aguardar nada manter",
}

_NO_WORD = Word()

WORDS: dict[str, Word] = {
    spelling: word for word, spellings in _SPELLINGS.items() for spelling in spellings.split()
}

BOUGHT, SOLD = (Intent.BUY, Side.BUY), (Intent.SELL, Side.SELL)

PAIRS: dict[frozenset[Word], Meaning] = {
    frozenset({BUY, LONG}): (Intent.OPEN_LONG, Side.BUY),
    frozenset({BUY, ENTER}): (Intent.OPEN_LONG, Side.BUY),
    frozenset({LONG, ENTER}): (Intent.OPEN_LONG, Side.BUY),
    frozenset({SELL, ENTER}): (Intent.OPEN_SHORT, Side.SELL),
    frozenset({SELL, LONG}): (Intent.CLOSE_LONG, Side.SELL),
    frozenset({CLOSE, LONG}): (Intent.CLOSE_LONG, Side.SELL),
    # SELL words win over BUY words, but a contradiction only ever sells what is held: it opens nothing.
    frozenset({SELL, BUY}): (Intent.CLOSE, Side.SELL),
    frozenset({SELL, CLOSE}): (Intent.CLOSE, Side.SELL),
    frozenset({CLOSE, BUY}): (Intent.CLOSE, Side.SELL),
    frozenset({CLOSE, ENTER}): (Intent.CLOSE, Side.SELL),
}
"""What ``side`` and ``action`` mean together, whichever of them carries which word (F005)."""

OPENS: dict[str, Meaning] = {"long": (Intent.OPEN_LONG, Side.BUY), "short": (Intent.OPEN_SHORT, Side.SELL)}
CLOSES: dict[str, Meaning] = {"long": (Intent.CLOSE_LONG, Side.SELL), "short": (Intent.CLOSE_SHORT, Side.BUY)}
REVERSES: dict[str, Meaning] = {
    "long": (Intent.REVERSE_TO_LONG, Side.BUY),
    "short": (Intent.REVERSE_TO_SHORT, Side.SELL),
}
REDUCES: dict[str, Meaning] = {
    "long": (Intent.REDUCE_LONG, Side.SELL),
    "short": (Intent.REDUCE_SHORT, Side.BUY),
}
TAKEN: dict[Side, Holding] = {
    Side.BUY: "long",
    Side.SELL: "short",
}  # the position an order of this side opens
LEFT: dict[Side, Holding] = {Side.BUY: "short", Side.SELL: "long"}  # the position it closes


def find_word(text: str) -> Word | None:
    """Give the word we know a text as, without regard to case, accents and separators."""
    # No word ends in two digits, as ids do: each of them would be looked at, and remembered, for nothing.
    return WORDS.get(text) or (
        WORDS.get(plain(text)) if len(text) <= 40 and not text[-2:].isdigit() else None
    )


def get_word(value: object, *, field: str) -> Word:
    """
    Give the word a deciding field carries.

    :raises Unreadable: when it is none we know; an unknown word is never taken for a buy
    """
    if isinstance(value, str):
        word = find_word(value)
        if word is not None:
            return word
        if has_placeholder(value):
            raise unfilled(field)
    raise Unreadable(
        "ACTION_UNKNOWN",
        f"field={shown(field)} value={shown(value)}. Known are buy, sell, long, short, close, close_long, "
        "close_short, close_all, exit, reverse, cancel and their Portuguese words.",
    )


def settle(action: Word | None, side: Word | None, *, more: tuple[Word, ...] = ()) -> Meaning:
    """
    Give the intent of the words of an alert taken together.

    :raises Unreadable: when they contradict each other or leave the direction open
    """
    if action is not None and side is not None and not more and action != side:
        pair = PAIRS.get(frozenset((action, side)))
        if pair is not None:
            return pair
    if not more and (action is None or side is None):
        return _said_alone(action or side or _NO_WORD)
    words = {word for word in (action, side, *more) if word is not None}
    if words == {ENTER}:
        return Intent.BUY, Side.BUY
    acts = {word.act for word in words if word.act is not None}
    sides = {word.side for word in words if word.side is not None}
    positions = {word.position for word in words if word.position is not None}
    if len(acts) > 1 or len(sides) > 1 or len(positions) > 1:
        raise contradiction("the action words say different things")
    return _settled(next(iter(acts), None), next(iter(sides), None), next(iter(positions), None))


def _said_alone(word: Word) -> Meaning:
    if word is BUY:
        return BOUGHT
    if word is SELL:
        return SOLD
    if word == ENTER:
        return Intent.BUY, Side.BUY
    return _settled(word.act, word.side, word.position)


def _settled(act: Act | None, side: Side | None, position: Holding | None) -> Meaning:
    if act is None:
        return _entry(side, position)
    if act in ("open", "reverse", "add"):
        return _toward(act, side, position)
    if act in ("close", "reduce", "target"):
        return _away(act, side, position)
    if act == "cancel":
        return Intent.CANCEL, side
    if side is not None or position is not None:
        raise contradiction(f"{act} stands beside a word for one side")
    return {"close_all": Intent.CLOSE_ALL, "nothing": Intent.NOTHING, "start": Intent.START_BOT}[act], None


def _entry(side: Side | None, position: Holding | None) -> Meaning:
    if position is None:
        return BOUGHT if side is Side.BUY else SOLD
    if side is None or TAKEN[side] == position:
        return OPENS[position]
    raise contradiction("the side trades against the named position without saying close")


def _toward(act: Act, side: Side | None, position: Holding | None) -> Meaning:
    if side is not None and position is not None and TAKEN[side] != position:
        raise contradiction("the side does not lead to the named position")
    position = position or (TAKEN[side] if side is not None else None)
    if act == "add":
        return Intent.ADD, OPENS[position][1] if position is not None else None
    if position is None:
        raise contradiction(f"{act} does not say whether long or short")
    return (REVERSES if act == "reverse" else OPENS)[position]


def _away(act: Act, side: Side | None, position: Holding | None) -> Meaning:
    if side is not None and position is not None and LEFT[side] != position:
        raise contradiction("the side does not close the named position")
    if position is None and side is not None and act != "target":
        position = LEFT[side]
    if position is None:
        if act == "close":
            return Intent.CLOSE, None
        raise contradiction("it does not say which position, long or short")
    return (REDUCES if act == "reduce" else CLOSES)[position]


def contradiction(what: str) -> Unreadable:
    """Give the refusal of words that do not add up."""
    return Unreadable(
        "ACTION_AMBIGUOUS", f"{what}. Send one action: buy, sell, close_long, close_short or close."
    )
