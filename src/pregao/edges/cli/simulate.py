"""`pregao simulate`: seeded histories of a whole desk in virtual time."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, fail
from pregao.edges.cli.shown import show_fields, show_json

WRONG_USE = 2
MINUTES = 1.0  # when nothing else is said

app = typer.Typer()


@app.command()
def simulate(
    *,
    seeds: Annotated[
        str | None, typer.Option(help="Run the histories of these seeds: FIRST..LAST, or one.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Run as many as there is time for; 1 if nothing is said.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on where this file's last run ended, and keep the sums in it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Simulate a desk with everything around it, and break it; exit 1 when a history finds something.

    The loops that trade run on a venue, a database and a clock in memory: minutes take about a second. A seed replays to
    the byte.
    """
    many = importlib.import_module("pregao.histories.many")  # an upper floor, named as the roles are
    try:
        report = many.simulate(
            seeds=None if seeds is None else _read_seeds(seeds),
            minutes=MINUTES if seeds is None and minutes is None else minutes,
            resume=resume,
            tell=_tell,
        )
    except many.ResumeError as wrong:
        fail(str(wrong), code=WRONG_USE)
    page = report.to_page()
    if as_json:
        show_json(page)
    else:
        _show(page)
    if report.found:
        raise typer.Exit(1)


def _read_seeds(text: str) -> range:
    first, _, last = text.partition("..")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        fail(f"SEEDS_UNREADABLE: seeds={text}. Say FIRST..LAST, for example 1..100.", code=WRONG_USE)
    return range(int(first), int(last or first) + 1)


def _tell(report: Any) -> None:
    if sys.stderr.isatty():
        print(f"\r{report.histories} histories, {len(report.found)} found something", end="", file=sys.stderr)


def _show(page: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)
    show_fields(
        [
            *((name.replace("_", " "), page[name]) for name in ("histories", "signals", "orders", "fills")),
            ("virtual minutes", round(page["virtual_seconds"] / 60, 1)),
            ("seconds", round(page["seconds"], 1)),
            *((f"hit: {name}", times) for name, times in page["hits"].items()),
            ("histories that found something", len(page["found"])),
        ]
    )
    for seed, texts in page["found"].items():
        print(f"\nseed {seed}, replayed by: {page['replay'][seed]}")
        for text in texts:
            print(f"  {text}")
