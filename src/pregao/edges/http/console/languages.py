"""The console's languages: what is said in them, what codes mean, and how numbers and moments are written there."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

from babel import Locale
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from markupsafe import Markup, escape

Meanings: TypeAlias = dict[str, tuple[str, ...]]

CATALOGS = Path(__file__).parent / "languages"
ENGLISH = "en"
LANGUAGES = {"pt-BR": "Português", ENGLISH: "English"}
NO_FIGURE = "–"
THOUSANDTHS_MAX = 8  # decimals shown of a price or quantity; all of them stand in its title
CENT = Decimal("0.01")
MINUTE_MS = 60_000
CODES = "codes.toml"
VALUE = re.compile(r"(?:^| )([a-z_]+)=")
LEADING_CODE = re.compile(r"^[A-Z_]+: ")
WRITTEN_MAX = 8_192  # figures: a list that is asked for again says mostly the same, and writing one takes a tenth of a millisecond


@dataclass(frozen=True, slots=True)
class Language:
    """One of them."""

    tag: str  # as HTML and browsers write it
    locale: Locale
    words: dict[str, str]
    meanings: Meanings  # of codes: what each says, and what helps

    def say(self, text: str, **values: object) -> str:
        """Give a text in this language, with its values; what has no translation stays English."""
        said = self.words.get(text) or text
        return said.format(**values) if values else said

    def why(self, code: str | None, told: str | None) -> Markup:
        """
        Say what a code means and what helps, the desk's values beside it and its own words in the title.

        Where this language does not know the code, as with a venue's own, the desk's words stand as they are.
        """
        meaning = self.meanings.get(code or "")
        if meaning is None:
            return escape(told or "")
        return Markup('<span title="{}">{}</span>{}').format(
            told or "", " ".join(meaning), self._beside(values_of(told))
        )

    def plainly(self, code: str, told: str) -> str:
        """Say what ``why`` says, where no markup may stand."""
        meaning = self.meanings.get(code)
        if meaning is None:
            return told
        return " ".join([*meaning, *(f"{name} {value}" for name, value in values_of(told))])

    def title_of(self, code: str, about: str, told: str) -> str:
        """Give an alert's title: what its code says, after what it is about; without one as it was told."""
        meaning = self.meanings.get(code)
        if meaning is None:
            return told
        return f"{about}: {meaning[0]}" if about else meaning[0]

    def text_of(self, code: str, told: str, numbers: Mapping[str, str]) -> Markup:
        """Give an alert's text, the desk's values beside it; where the code says only a title, somebody wrote it."""
        meaning = self.meanings.get(code)
        if meaning is None:
            return escape(told)
        text = Markup('<span title="{}">{}</span>').format(told, meaning[1]) if meaning[1:] else escape(told)
        return text + self._beside([*values_of(told), *numbers.items()])

    def _beside(self, values: Iterable[tuple[str, str]]) -> Markup:
        said = [(name, value, self.meanings.get(value)) for name, value in values if value]
        return Markup("").join(
            Markup(' <span class="faint">{}</span> {}{}').format(
                name, value, f" ({' '.join(meaning)})" if meaning else ""
            )
            for name, value, meaning in said
        )

    def figure(self, value: Decimal) -> str:
        """Write a figure with the decimals it has, where no markup may stand."""
        return _written(value, "#,##0." + "#" * THOUSANDTHS_MAX, self.locale)

    def number(self, value: Decimal | int | None) -> str | Markup:
        """Write a figure with the decimals it has, at most eight; more precisely in its title."""
        if value is None:
            return NO_FIGURE
        shown = _written(value, "#,##0." + "#" * THOUSANDTHS_MAX, self.locale)
        exact = f"{value:f}" if isinstance(value, Decimal) else str(value)
        return _figure(exact, shown)

    def money(self, value: Decimal | None) -> str | Markup:
        """Write an amount in cents; exactly in its title."""
        if value is None:
            return NO_FIGURE
        shown = _written(value.quantize(CENT), "#,##0.00", self.locale)
        return _figure(f"{value:f}", shown)

    def plain(self, value: Decimal) -> str:
        """Write an amount in cents where no markup may stand."""
        return _written(value.quantize(CENT), "#,##0.00", self.locale)

    def result(self, value: Decimal | None) -> str | Markup:
        """Write what was earned or lost: with its sign, and told apart by more than a color."""
        if value is None:
            return NO_FIGURE
        kind = "gain" if value > 0 else "loss" if value < 0 else "even"
        shown = _written(value.quantize(CENT), "+#,##0.00;-#,##0.00", self.locale)
        return _figure(f"{value:f}", shown if value else shown.lstrip("+-"), kind=kind)

    def moment(self, at: datetime | None) -> str | Markup:
        """Write a moment in UTC; the page turns it into how long ago that is, and keeps this as its title."""
        if at is None:
            return NO_FIGURE
        shown = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")  # the same in every language
        return Markup(f'<time datetime="{at.isoformat()}" title="{shown} UTC">{shown}</time>')  # noqa: S704  # digits

    def milliseconds(self, value: int | None) -> str:
        """Write a duration in milliseconds."""
        return NO_FIGURE if value is None else f"{format_decimal(value, locale=self.locale)} ms"

    def since(self, begun: datetime, at: datetime) -> str:
        """Write how long after another a moment came: in milliseconds where that is short, never less than nothing."""
        elapsed = max(0, round((at - begun) / timedelta(milliseconds=1)))
        return self.milliseconds(elapsed) if elapsed < 10_000 else self.duration(begun, at)

    def duration(self, begun: datetime | None, over: datetime | None) -> str:
        """Write how long something took, in the two largest units that count."""
        if begun is None or over is None:
            return NO_FIGURE
        whole = (over - begun) / timedelta(milliseconds=1)
        if whole < MINUTE_MS:
            return f"{format_decimal(round(whole / 1_000, 3 if whole < 1_000 else 1), locale=self.locale)} s"
        minutes = int(whole // MINUTE_MS)
        days, hours, rest = minutes // 1_440, minutes // 60 % 24, minutes % 60
        if days:
            return f"{days} d {hours} h"
        return f"{hours} h {rest:02d} min" if hours else f"{rest} min {int(whole // 1_000) % 60:02d} s"


def values_of(told: str | None) -> list[tuple[str, str]]:
    """Give the values that the desk's words begin with, `name=value` each; what follows them is a sentence."""
    values, _, _ = LEADING_CODE.sub("", told or "").partition(". ")
    parts = VALUE.split(values)
    if parts[0]:
        return []
    return [
        (name, value.strip().rstrip("."))
        for name, value in zip(parts[1::2], parts[2::2], strict=True)
        if value
    ]


def _figure(exact: str, shown: str, *, kind: str = "") -> Markup:
    """Give a figure as a page shows it: digits and their signs, of which nothing has to be escaped."""
    classed = f' class="{kind}"' if kind else ""
    return Markup(f'<data{classed} value="{exact}" title="{exact}">{shown}</data>')  # noqa: S704


@lru_cache(maxsize=WRITTEN_MAX)
def _written(value: Decimal | int, pattern: str, locale: Locale) -> str:
    return format_decimal(value, pattern, locale=locale)


@cache
def language(tag: str) -> Language:
    """Give a language by its tag; English where there is none such."""
    if tag not in LANGUAGES:
        tag = ENGLISH
    locale = Locale.parse(tag, sep="-")
    return Language(tag, locale, _words(CATALOGS / tag), _meanings(CATALOGS / tag / CODES))


def preferred(accepted: str) -> str:
    """Choose from a browser's `Accept-Language`; its order counts, its weights are in that order."""
    for wish in accepted.lower().split(","):
        primary = wish.split(";")[0].strip().split("-")[0]
        for tag in LANGUAGES:
            if tag.lower().split("-")[0] == primary:
                return tag
    return ENGLISH


def _words(folder: Path) -> dict[str, str]:
    words: dict[str, str] = {}
    for page in sorted(folder.glob("*.po")):
        with page.open("rb") as file:
            words |= {
                str(entry.id): str(entry.string) for entry in read_po(file) if entry.id and entry.string
            }
    return words


def _meanings(page: Path) -> Meanings:
    if not page.exists():
        return {}
    return {code: tuple(said) for code, said in tomllib.loads(page.read_text(encoding="utf-8")).items()}
