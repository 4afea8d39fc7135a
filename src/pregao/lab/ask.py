"""
Ask the lab for a backtest, a comparison, a sweep or a model, and call one off.

Each command looks at the book and gives the facts that follow; the caller appends them in the same transaction.
"""

import math
import re
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from pregao.domain.facts import LabRunAsked, LabRunEnded
from pregao.domain.lab import (
    COMBINATIONS_MAX,
    CONTENDERS_MAX,
    FOLDS_MAX,
    MODEL_NAME,
    OWN_WAITING_MAX,
    WAITING_MAX,
    Contender,
    LabKind,
    LabRequest,
    LabStatus,
    candles_name,
)
from pregao.domain.strategy import DESCRIPTIONS, Description, ParameterUnusableError
from pregao.lab.ports import LabBook
from pregao.lab.refusals import ConflictError, SettingUnusableError, UnknownError


async def ask_run(
    run_id: UUID,
    kind: LabKind,
    request: LabRequest,
    *,
    symbol: str,
    timeframe: str,
    known_candles: Collection[str],
    known_funding: Collection[str],
    user_id: UUID | None,
    asked_by: str,
    book: LabBook,
    now: datetime,
) -> list[LabRunAsked]:
    """
    Ask for a run; the lab carries it out when its turn comes.

    :raises SettingUnusableError: when it cannot be computed so.
    :raises UnknownError: when there are no such candles.
    :raises ConflictError: when too much waits already.
    """
    check_request(kind, request)
    require_candles(symbol, timeframe, known=known_candles)
    if request.has_funding:
        require_funding(symbol, known=known_funding)
    waiting, own = await book.waiting(user_id=user_id)
    for count, maximum, whose in ((waiting, WAITING_MAX, "desk"), (own, OWN_WAITING_MAX, "you")):
        if count >= maximum:
            raise ConflictError(
                "LAB_FULL",
                f"waiting={count} maximum={maximum} of={whose}. Wait until one is over, or cancel one.",
                waiting=count,
                maximum=maximum,
            )
    return [
        LabRunAsked(
            happened_at=now,
            run_id=run_id,
            kind=kind,
            symbol=symbol,
            timeframe=timeframe,
            request=request,
            user_id=user_id,
            asked_by=asked_by,
        )
    ]


async def cancel_run(run_id: UUID, *, canceled_by: str, book: LabBook, now: datetime) -> list[LabRunEnded]:
    """
    Call a run off; one that is being computed is dropped.

    :raises UnknownError: when there is no such run.
    :raises ConflictError: when it is over.
    """
    run = await book.find_run(run_id)
    if run is None:
        raise run_unknown(run_id)
    if run.status is not LabStatus.WAITING:
        raise ConflictError("LAB_RUN_OVER", f"run={run_id} status={run.status}. What is over stays as it is.")
    return [
        LabRunEnded(
            happened_at=now, run_id=run_id, status=LabStatus.CANCELED, figures={}, ended_by=canceled_by
        )
    ]


def run_unknown(run_id: UUID) -> UnknownError:
    """Give the refusal of a run nobody knows here."""
    return UnknownError("LAB_RUN_UNKNOWN", f"run={run_id}. There is no such run, or it is somebody else's.")


def require_candles(symbol: str, timeframe: str, *, known: Collection[str]) -> None:
    """
    See that there are candles: nothing is ever made up in their place (F131).

    :raises UnknownError: when there are none.
    """
    name = candles_name(symbol, timeframe)
    if name not in known:
        shown = ", ".join(sorted(known)) or "none"
        raise UnknownError(
            "CANDLES_MISSING",
            f"name={name} known={shown}. Bring them in with `pregao data import`.",
            name=name,
            known=sorted(known),
        )


def require_funding(symbol: str, *, known: Collection[str]) -> None:
    """
    See that funding rates were recorded: they are not made up either.

    :raises UnknownError: when none were.
    """
    if symbol not in known:
        shown = ", ".join(sorted(known)) or "none"
        raise UnknownError(
            "FUNDING_MISSING",
            f"symbol={symbol} known={shown}. Bring the rates in with `pregao data funding`, or give one for all in terms.funding_bps.",
            symbol=symbol,
            known=sorted(known),
        )


def check_request(kind: LabKind, request: LabRequest) -> None:
    """
    See that a request can be computed, and is not too much.

    :raises SettingUnusableError: naming what is wrong.
    """
    if kind is LabKind.TRAIN or request.teaching is not None:
        _check_teaching(kind, request)
    else:
        _check_contenders(kind, request)
    if request.since is not None and request.until is not None and request.since >= request.until:
        raise SettingUnusableError("LAB_SPAN", "since is not before until. Name an earlier one.")


def _check_teaching(kind: LabKind, request: LabRequest) -> None:
    teaching = request.teaching
    is_alone = not request.contenders and not request.ranges and not request.folds and not request.has_funding
    if kind is not LabKind.TRAIN or teaching is None or not is_alone:
        raise SettingUnusableError(
            "LAB_TEACHING", f"kind={kind}. A model is taught with candles and by its own settings alone."
        )
    if re.fullmatch(MODEL_NAME, teaching.name) is None:
        raise SettingUnusableError(
            "MODEL_NAME_UNUSABLE",
            f"characters={len(teaching.name)} maximum=64. Use small letters, digits, '_' and '-', a letter or digit first.",
        )


def _check_contenders(kind: LabKind, request: LabRequest) -> None:
    maximum = CONTENDERS_MAX if kind is LabKind.COMPARE else 1
    if not 1 <= len(request.contenders) <= maximum:
        raise SettingUnusableError(
            "LAB_CONTENDERS", f"strategies={len(request.contenders)} minimum=1 maximum={maximum} kind={kind}."
        )
    for contender in request.contenders:
        _check_values(contender)
    if request.folds and kind is not LabKind.SWEEP:
        raise SettingUnusableError("LAB_FOLDS", f"kind={kind}. Only a sweep is walked forward.")
    if not 0 <= request.folds <= FOLDS_MAX:
        raise SettingUnusableError("LAB_FOLDS", f"folds={request.folds} minimum=0 maximum={FOLDS_MAX}.")
    if kind is LabKind.SWEEP:
        _check_ranges(request)
    if request.has_funding and request.terms.funding_bps:
        raise SettingUnusableError(
            "LAB_FUNDING",
            f"funding_bps={request.terms.funding_bps} has_funding=true. Name one rate for all, or have the recorded ones paid.",
        )


def _check_values(contender: Contender) -> None:
    description = _description(contender.strategy)
    try:
        description.filled({name: float(value) for name, value in contender.values.items()})
    except ParameterUnusableError as problem:
        code, _, message = str(problem).partition(": ")
        raise SettingUnusableError(code, message, strategy=contender.strategy) from problem


def _check_ranges(request: LabRequest) -> None:
    description = _description(request.contenders[0].strategy)
    known = {one.name: one for one in description.parameters}
    if not request.ranges:
        raise SettingUnusableError("LAB_RANGES", "ranges=none. Name values for one parameter at least.")
    for name, values in request.ranges.items():
        if name not in known or name in request.contenders[0].values or not values:
            raise SettingUnusableError(
                "LAB_RANGES",
                f"parameter={name} known={', '.join(known)}. Each range names a parameter once, with at least one value.",
                parameter=name,
            )
        one = known[name]
        for value in values:
            if not one.low <= value <= one.high or (one.is_whole and value != value.to_integral_value()):
                raise SettingUnusableError(
                    "PARAMETER_OUT_OF_RANGE",
                    f"strategy={description.name} {name}={value} low={one.low:g} high={one.high:g}.",
                    parameter=name,
                )
    count = math.prod(len(values) for values in request.ranges.values())
    if count > COMBINATIONS_MAX:
        raise SettingUnusableError(
            "LAB_TOO_LARGE",
            f"combinations={count} maximum={COMBINATIONS_MAX}. Take wider steps, or `pregao backtest sweep`.",
            combinations=count,
            maximum=COMBINATIONS_MAX,
        )


def _description(name: str) -> Description:
    if name not in DESCRIPTIONS:
        raise SettingUnusableError(
            "STRATEGY_UNKNOWN", f"strategy={name} known={', '.join(DESCRIPTIONS)}.", strategy=name
        )
    return DESCRIPTIONS[name]
