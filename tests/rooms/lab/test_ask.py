"""What the lab takes, and what it refuses with the numbers before anything is computed."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.domain.facts import LabRunAsked, LabRunEnded
from pregao.domain.lab import Contender, LabKind, LabRequest, LabRun, LabStatus, LabTerms, Teaching
from pregao.lab.ask import ask_run, cancel_run
from pregao.lab.refusals import ConflictError, LabError, SettingUnusableError, UnknownError
from tests.builders import NOON

RUN_ID = UUID(int=1)
ANA = UUID(int=7)
CROSS = Contender(strategy="ema_cross")
ONE = LabRequest(contenders=(CROSS,))
SWEEP = LabRequest(contenders=(CROSS,), ranges={"fast": (Decimal(5), Decimal(8))})


class Book:
    """Holds so many runs that wait, and at most one by its id."""

    def __init__(self, *, waiting=0, own=0, run=None):
        self.counts = waiting, own
        self.run = run

    async def waiting(self, *, user_id):
        return self.counts

    async def find_run(self, run_id):
        return self.run


async def asked(
    request=ONE, *, kind=LabKind.RUN, symbol="BTCUSDT", known=("BTCUSDT_1h",), funding=(), book=None
):
    return await ask_run(
        RUN_ID, kind, request, symbol=symbol, timeframe="1h", known_candles=known, known_funding=funding, user_id=ANA, asked_by="ana",
        book=book or Book(), now=NOON,
    )  # fmt: skip


class TestAskRun:
    async def test_keeps_all_that_decides_the_result(self):
        [fact] = await asked()

        assert fact == LabRunAsked(
            happened_at=NOON, run_id=RUN_ID, kind=LabKind.RUN, symbol="BTCUSDT", timeframe="1h", request=ONE,
            user_id=ANA, asked_by="ana",
        )  # fmt: skip

    async def test_f131_never_makes_candles_up(self):
        with pytest.raises(UnknownError, match="CANDLES_MISSING: name=ETHUSDT_1h known=BTCUSDT_1h") as told:
            await asked(symbol="ETHUSDT")

        assert "pregao data import" in told.value.message

    async def test_teaches_a_model_by_its_own_settings_alone(self):
        model = LabRequest(contenders=(), teaching=Teaching(name="btc_1h"))

        [fact] = await asked(model, kind=LabKind.TRAIN)

        assert fact.request.teaching == Teaching(name="btc_1h", horizon=24, folds=5)
        for kind, request, code in (
            (LabKind.RUN, model, "LAB_TEACHING"),
            (LabKind.TRAIN, ONE, "LAB_TEACHING"),
            (LabKind.TRAIN, replace(model, contenders=(CROSS,)), "LAB_TEACHING"),
            (LabKind.TRAIN, replace(model, teaching=Teaching(name="../btc")), "MODEL_NAME_UNUSABLE"),
        ):
            with pytest.raises(SettingUnusableError, match=code):
                await asked(request, kind=kind)

    async def test_pays_no_funding_that_nobody_recorded(self):
        with pytest.raises(UnknownError, match="FUNDING_MISSING: symbol=BTCUSDT known=ETHUSDT"):
            await asked(replace(ONE, has_funding=True), funding=("ETHUSDT",))
        [fact] = await asked(replace(ONE, has_funding=True), funding=("BTCUSDT",))

        assert fact.request.has_funding

    @pytest.mark.parametrize(
        ("kind", "request_", "code"),
        [
            (LabKind.RUN, replace(ONE, has_funding=True, terms=LabTerms(funding_bps=Decimal(1))), "LAB_FUNDING"),
            (LabKind.RUN, LabRequest(contenders=()), "LAB_CONTENDERS"),
            (LabKind.RUN, LabRequest(contenders=(CROSS, CROSS)), "LAB_CONTENDERS"),
            (LabKind.COMPARE, LabRequest(contenders=(CROSS,) * 21), "LAB_CONTENDERS"),
            (LabKind.RUN, LabRequest(contenders=(Contender(strategy="moon"),)), "STRATEGY_UNKNOWN"),
            (LabKind.RUN, LabRequest(contenders=(Contender(strategy="ema_cross", values={"moon": Decimal(1)}),)), "PARAMETER_UNKNOWN"),
            (LabKind.RUN, LabRequest(contenders=(Contender(strategy="ema_cross", values={"fast": Decimal(1)}),)), "PARAMETER_OUT_OF_RANGE"),
            (LabKind.RUN, replace(ONE, folds=2), "LAB_FOLDS"),
            (LabKind.SWEEP, replace(SWEEP, folds=21), "LAB_FOLDS"),
            (LabKind.SWEEP, ONE, "LAB_RANGES"),
            (LabKind.SWEEP, replace(SWEEP, ranges={"moon": (Decimal(1),)}), "LAB_RANGES"),
            (LabKind.SWEEP, replace(SWEEP, ranges={"fast": (Decimal("2.5"),)}), "PARAMETER_OUT_OF_RANGE"),
            (
                LabKind.SWEEP,
                replace(SWEEP, ranges={name: tuple(Decimal(one) for one in range(2, 103)) for name in ("fast", "slow")}),
                "LAB_TOO_LARGE",
            ),
            (LabKind.RUN, replace(ONE, since=NOON, until=NOON), "LAB_SPAN"),
        ],
    )  # fmt: skip
    async def test_refuses_what_cannot_be_computed(self, kind, request_, code):
        with pytest.raises(SettingUnusableError) as told:
            await asked(request_, kind=kind)

        assert told.value.code == code

    @pytest.mark.parametrize(("waiting", "own", "is_full"), [(19, 4, False), (20, 0, True), (5, 5, True)])
    async def test_takes_only_so_many_at_once(self, waiting, own, is_full):
        code = None
        try:
            await asked(book=Book(waiting=waiting, own=own))
        except ConflictError as full:
            code = full.code

        assert code == ("LAB_FULL" if is_full else None)


class TestCancelRun:
    async def test_calls_off_what_is_not_over(self):
        run = _run()

        [fact] = await cancel_run(RUN_ID, canceled_by="ana", book=Book(run=run), now=NOON)

        assert (type(fact), fact.status, fact.ended_by) == (LabRunEnded, LabStatus.CANCELED, "ana")

    @pytest.mark.parametrize(("status", "code"), [(LabStatus.DONE, "LAB_RUN_OVER"), (None, "LAB_RUN_UNKNOWN")])  # fmt: skip
    async def test_leaves_what_is_over_or_somebody_elses(self, status, code):
        run = None if status is None else replace(_run(), status=status)

        with pytest.raises(LabError) as told:
            await cancel_run(RUN_ID, canceled_by="ana", book=Book(run=run), now=NOON)

        assert told.value.code == code


def _run() -> LabRun:
    return LabRun(
        run_id=RUN_ID, kind=LabKind.RUN, symbol="BTCUSDT", timeframe="1h", request=ONE, user_id=ANA, asked_by="ana",
        asked_at=NOON,
    )  # fmt: skip
