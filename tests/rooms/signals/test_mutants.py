"""
Bodies changed on purpose: what keeps the meaning keeps the reading, and what spoils it never turns the order round.

PREGAO_MUTANTS says how many bodies each test makes, PREGAO_MUTANTS_SEED which.
"""

import json
import random
import re
from collections import Counter

import pytest

from pregao.domain.signal import AlertReading
from pregao.signals.fields import meaning_of
from pregao.signals.formats import read_alert
from tests.rooms.signals.corpus import (
    CASES,
    MUTANTS,
    SEED,
    body_of,
    fields_of,
    is_licensed,
    is_other_order,
    needs_corpus,
    outcome_of,
    turns,
)

OPPOSITES = {"buy": "sell", "long": "short", "bullish": "bearish"}
OPPOSITES |= {second: first for first, second in OPPOSITES.items()}
SIDE_WORDS = re.compile("|".join(OPPOSITES), re.IGNORECASE)
SIGNED_SIZE = re.compile(r'((?:prev_)?position_size"?\s*[:=]\s*"?|New strategy position is )(-?)(?=\d)')
WORDS = re.compile(
    r"buy|sell|long|short|flat|close|exit|enter|entry|bullish|bearish|cancel|tp1", re.IGNORECASE
)
QUOTES = ("USDT", "USDC", "USD", "BRL", "BTC")
PRINTABLE = [bytes([code]) for code in range(32, 127) if code != ord("\\")]
NOISE = {"chart": "4h", "rsi": 61.2, "lucky": None, "note to self": "ok", "flags": [1, 2], "more": {"x": "y"}}
SECRETS = ("sell", "buy", "close_all", "ETHUSDT", "-1", "50%", "true", 'a"b\\c', "short", "0", "é")
DECIDING = re.compile(
    r"action|order|signal|side|direction|position|sentiment|symbol|ticker|pair|instrument|asset|stocks|mode|message"
    r"|text|comment|id$|type|reduce|close|event",
    re.IGNORECASE,
)
WORDS_THAT_MATTER = re.compile(
    rb"[A-Za-z_]*(?:buy|sell|long|short|flat|close|exit|enter|entry|action|side|order|signal|direction|position"
    rb"|sentiment|general|market|strategy|reduce|tp1|bull|bear|cancel|add|message|text|comment|id|type|event|mode"
    rb"|trade|info|size|contracts|filled|on|data|unit)[A-Za-z_]*",
    re.IGNORECASE,
)


def _readings() -> list[tuple[str, bytes, AlertReading]]:
    outcomes = [(case["id"], body_of(case), outcome_of(body_of(case))) for case in CASES]
    return [(name, body, reading) for name, body, reading in outcomes if reading is not None]


READ = _readings()
JSON_READ = [(name, json.loads(body), reading) for name, body, reading in READ if body.startswith(b"{")]
each_read = pytest.mark.parametrize(("name", "body", "reading"), READ, ids=[name for name, *_ in READ])


@needs_corpus
class TestWhatKeepsTheMeaning:
    def test_is_read_the_same_whatever_the_layout(self) -> None:
        """Order of keys, spaces, case, escapes, numbers as text, fields nobody knows: none is the message."""
        chance = random.Random(SEED)
        for _ in range(MUTANTS):
            name, document, reading = chance.choice(JSON_READ)
            mutant = json.dumps(
                rearranged({**document, **noise(chance)}, chance),
                indent=chance.choice([None, 1, "\t"]),
                separators=chance.choice([(",", ":"), (" , ", " : ")]),
                ensure_ascii=chance.choice([True, False]),
            )
            wrapped = chance.choice([mutant, f"\ufeff{mutant}", f"\r\n {mutant}\n", json.dumps(mutant)])

            again = read_alert(wrapped.encode())

            assert fields_of(again) == fields_of(reading), (name, wrapped)

    @each_read
    def test_is_read_the_same_whatever_the_secret(
        self, name: str, body: bytes, reading: AlertReading
    ) -> None:
        """A secret may be a word of trade or a symbol, and says nothing of either."""
        place = next(case["expected"].get("secret_field") for case in CASES if case["id"] == name)
        if place is None:
            return
        for secret in SECRETS:
            again = read_alert(with_secret(body, place, secret))

            assert fields_of(again) == fields_of(reading), secret

    @each_read
    def test_is_read_on_the_symbol_that_is_named(self, name: str, body: bytes, reading: AlertReading) -> None:
        if reading.symbol is None:
            return
        base = base_of(reading.symbol)

        again = read_alert(re.sub(re.escape(base), "XQZ", body.decode(), flags=re.IGNORECASE).encode())

        assert again.symbol == reading.symbol.replace(base, "XQZ"), name
        assert fields_of(again)[2:] == fields_of(reading)[2:], name
        assert again.intent == reading.intent


@needs_corpus
class TestWhatTurnsTheMeaning:
    @each_read
    def test_is_read_the_other_way_round(self, name: str, body: bytes, reading: AlertReading) -> None:
        """Every word for a side replaced by its opposite is the opposite order, and nothing else."""
        again = read_alert(mirrored(body))

        assert again.intent == SIDE_WORDS.sub(opposite, reading.intent), name
        assert again.side == (None if reading.side is None else OPPOSITES[reading.side])
        assert (again.symbol, again.quantity, again.quantity_kind, again.price, again.share) == (
            *(reading.symbol, reading.quantity, reading.quantity_kind),
            *(reading.price, reading.share),
        )


@needs_corpus
class TestWhatSpoilsTheMeaning:
    def test_never_turns_the_order_when_one_byte_is_lost_added_or_changed(self) -> None:
        """A slip of the hand anywhere, names of fields included: refused, or the same side and no entry for an exit."""
        chance = random.Random(SEED + 3)
        read_again = 0
        for _ in range(MUTANTS):
            name, body, reading = chance.choice(READ)
            at = chance.randrange(len(body))
            # A backslash would swallow the byte after it too: two are changed then.
            put = chance.choice([b"", b"", chance.choice(PRINTABLE)])
            mutant = body[:at] + put + body[at + chance.choice([0, 1]) :]

            again = outcome_of(mutant)

            if again is not None:
                read_again += 1
                assert not turns(again, reading), (name, mutant)
                assert is_licensed(again, mutant), (name, mutant)
        assert read_again > MUTANTS // 10

    def test_never_makes_another_order_of_a_misspelled_word(self) -> None:
        chance = random.Random(SEED + 4)
        read_again = 0
        for _ in range(MUTANTS):
            name, body, reading = chance.choice(READ)
            text = body.decode()
            words = list(WORDS.finditer(text))
            if not words:
                continue
            word = chance.choice(words)
            wrong = misspelled(word[0], chance)
            mutant = text[: word.start()] + wrong + text[word.end() :]

            again = outcome_of(mutant.encode())

            if again is None:
                continue
            read_again += 1
            assert not turns(again, reading), (name, mutant)
            # Three slips may spell another field (entry, qty): nobody can tell, and it names no size that is used.
            if meaning_of(wrong) != "quantity":
                assert not is_other_order(again, reading), (name, mutant)
        assert read_again > MUTANTS // 20

    def test_never_turns_the_order_when_a_field_is_spoilt(self) -> None:
        chance = random.Random(SEED + 1)
        read_again = 0
        for _ in range(MUTANTS):
            name, document, reading = chance.choice(JSON_READ)
            mutant = json.loads(json.dumps(document))
            path = chance.choice(leaves(mutant))
            is_gone = spoil(mutant, path, chance)

            again = outcome_of(json.dumps(mutant).encode())

            if again is None:
                continue
            read_again += 1
            where = (name, path, mutant)
            if not is_gone or not any(DECIDING.search(part) for part in path):
                assert not turns(again, reading), where
            assert is_licensed(again, json.dumps(mutant).encode()), where
            if not re.search(r"ticker|symbol|pair|instrument|message|text", path[-1], re.IGNORECASE):
                assert again.symbol == reading.symbol, where
        assert read_again > MUTANTS // 10

    def test_never_makes_up_what_is_not_there_when_bytes_are_lost_or_added(self) -> None:
        chance = random.Random(SEED + 2)
        for _ in range(MUTANTS):
            case = chance.choice(CASES)
            body, mutant = body_of(case), damaged(body_of(case), chance)

            again = outcome_of(mutant)

            if again is None:
                continue
            assert is_licensed(again, mutant), (case["id"], mutant)
            reading = outcome_of(body)
            if reading is not None and words_of(mutant) == words_of(body):
                assert not turns(again, reading), (case["id"], mutant)


def rearranged(value: object, chance: random.Random) -> object:
    if isinstance(value, dict):
        items = [(recased(name, chance), rearranged(inner, chance)) for name, inner in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, str) and SIDE_WORDS.fullmatch(value):
        return recased(value, chance)
    if isinstance(value, float) and chance.random() < 0.3:
        return str(value)
    return value


def recased(name: str, chance: random.Random) -> str:
    return chance.choice([name, name.upper(), name.lower(), name.title()])


def noise(chance: random.Random) -> dict[str, object]:
    return {name: NOISE[name] for name in chance.sample(list(NOISE), chance.randint(0, 3))}


def with_secret(body: bytes, place: str, secret: str) -> bytes:
    if place == "first line":
        return "\n".join([secret, *body.decode().split("\n")[1:]]).encode()
    document = json.loads(body)
    *names, last = place.split(".")
    holder = document
    for name in names:
        holder = holder[name]
    holder[last] = secret
    return json.dumps(document).encode()


def base_of(symbol: str) -> str:
    for quote in QUOTES:
        if symbol.upper().endswith(quote) and symbol.upper() != quote:
            return symbol[: -len(quote)]
    return symbol


def mirrored(body: bytes) -> bytes:
    """Give the body with every word for a side, and the sign of every signed size, turned round."""
    turned = SIDE_WORDS.sub(opposite, body.decode())
    return SIGNED_SIZE.sub(lambda size: size[1] + ("" if size[2] else "-"), turned).encode()


def opposite(word: re.Match[str]) -> str:
    other = OPPOSITES[word[0].lower()]
    return other.upper() if word[0].isupper() else other.title() if word[0][0].isupper() else other


def misspelled(word: str, chance: random.Random) -> str:
    letters = list(word)
    for _ in range(chance.randint(1, 3)):
        at, letter = chance.randrange(len(letters) + 1), chance.choice("abcdefghijklmnopqrstuvwxyz")
        match chance.choice(["lose", "add", "other", "swap"]):
            case "lose":
                del letters[at : at + 1]
            case "add":
                letters.insert(at, letter)
            case "other":
                letters[at : at + 1] = letter
            case "swap":
                letters[at : at + 2] = reversed(letters[at : at + 2])
    return (
        "".join(letters) or word[0]
    )  # a word that is gone is not misspelled: {"side": "buy", "action": ""} buys


def leaves(document: dict, path: tuple = ()) -> list[tuple]:
    found = []
    for name, value in document.items():
        found += leaves(value, (*path, name)) if isinstance(value, dict) else [(*path, name)]
    return found


def spoil(document: dict, path: tuple, chance: random.Random) -> bool:
    """Spoil the field in place and say whether nothing is left of it."""
    for name in path[:-1]:
        document = document[name]
    text = str(document[path[-1]])
    change = chance.choice(["removed", "cut", "placeholder", "noise", "blank", "null", "list"])
    if change == "removed":
        del document[path[-1]]
        return True
    document[path[-1]] = {
        "cut": text[: chance.randrange(len(text))] if text else text,
        "placeholder": "{{" + str(path[-1]) + "}}",
        "noise": text + chance.choice("xyz?;\u200b") + text[:2],
        "blank": "",
        "null": None,
        "list": [document[path[-1]]],
    }[change]
    return document[path[-1]] in (None, "")


def damaged(body: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(mutant)) if mutant else 0
        change = chance.choice(["lose", "add", "replace", "cut", "repeat"])
        if change == "lose":
            del mutant[at : at + chance.randint(1, 12)]
        elif change == "add":
            mutant[at:at] = chance.choice([b" ", b'"', b",", b"\n", b"x", b"0", b"=", b"\xff", b"}", b"\\"])
        elif change == "replace" and mutant:
            mutant[at] = chance.randrange(256)
        elif change == "cut":
            del mutant[at + (len(mutant) - at) // 2 :]
        elif change == "repeat":
            mutant[at:at] = mutant[at : at + chance.randint(1, 40)]
    return bytes(mutant)


def words_of(body: bytes) -> Counter:
    return Counter(word.lower() for word in WORDS_THAT_MATTER.findall(body))
