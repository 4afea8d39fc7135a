"""`pregao prove`: the public proof, on a desk of its own."""

import asyncio
import importlib
import signal
import sys
from typing import Annotated, Any

import typer

from pregao.edges.cli.desk import Json, fail
from pregao.edges.cli.shown import show_fields, show_json

WRONG_USE = 2

app = typer.Typer()


@app.command()
def prove(
    *,
    signals: Annotated[int, typer.Option(min=1, help="How many alerts are sent.")] = 200,
    accounts: Annotated[int, typer.Option(min=1, max=500, help="How many accounts trade.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed makes the same plan.")] = 7,
    faults: Annotated[
        str, typer.Option(help="What goes wrong at the venue: all, none, or kinds parted by commas.")
    ] = "all",
    kill: Annotated[
        str,
        typer.Option(help="Who is ended where: all, none, or acts, points or POINT:ACT parted by commas."),
    ] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Shorter outages, and less time to settle.")] = False,
    stops: Annotated[
        bool, typer.Option("--stops", help="Prove the stops: one exit for each trigger, nothing left open.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with the desk's logs.")] = False,
    as_json: Json = False,
) -> None:
    """
    Prove on a desk of its own that no order is sent twice and no signal is lost; exit 1 when it fails.

    It starts real processes, breaks them at their crash points, and compares the books with the exchange's.
    """
    plans = importlib.import_module("pregao.proof.plan")  # an upper floor, named as the roles are
    make = _stops_plan if stops else _plan
    try:
        plan = make(signals=signals, accounts=accounts, seed=seed, faults=faults, kill=kill)
    except plans.PlanError as wrong:
        fail(str(wrong), code=WRONG_USE)
    report = _carried_out(plan, is_quick=quick, keep=keep, stops=stops)
    if as_json:
        show_json(report.to_page())
    else:
        show_fields(report.rows())
        for difference in report.differences:
            print(f"{difference.figure}: {difference.text}")
        print("\nThe proof holds." if report.holds else f"\nThe proof FAILED: {'; '.join(report.reasons)}.")
    if not report.holds:
        raise typer.Exit(1)


def _plan(*, signals: int, accounts: int, seed: int, faults: str, kill: str) -> Any:
    plans = importlib.import_module("pregao.proof.plan")
    return plans.make_plan(
        signals=signals,
        accounts=accounts,
        seed=seed,
        faults=plans.read_faults(faults),
        trials=plans.read_trials(kill),
        restores=plans.reads_restore(kill),
    )


def _stops_plan(*, signals: int, accounts: int, seed: int, faults: str, kill: str) -> Any:
    plans = importlib.import_module("pregao.proof.plan")
    stops = importlib.import_module("pregao.proof.stops_plan")
    return stops.make_stops_plan(
        signals=signals,
        accounts=accounts,
        seed=seed,
        faults=plans.read_faults(faults, known=stops.STOP_FAULTS),
        trials=plans.read_trials(kill, known=stops.STOP_ACTS),
    )


def _carried_out(plan: Any, *, is_quick: bool, keep: bool, stops: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    name, act = ("stops", "prove_stops") if stops else ("prove", "prove")
    prove = getattr(importlib.import_module(f"pregao.proof.{name}"), act)
    desks = importlib.import_module("pregao.proof.desk")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=len(plan.signals))

        def tell(doing: str, done: int, total: int) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        try:
            return asyncio.run(_until_told(prove(plan, is_quick=is_quick, keep=keep, tell=tell)))
        except desks.ProofFailedError as failure:
            fail(str(failure))
        except asyncio.CancelledError:
            fail("PROOF_STOPPED: told to end; everything it started has ended.", code=130)


async def _until_told(proof: Any) -> Any:
    """SIGTERM and Ctrl-C end the proof in order."""
    task = asyncio.ensure_future(proof)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
