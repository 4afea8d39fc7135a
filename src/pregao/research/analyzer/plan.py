"""The plan of `technical_analysis` with a model beside it: at every candle what the analyzer would say live."""

from dataclasses import replace

from pregao.domain.strategy import Values
from pregao.research.analyzer.combine import is_sure
from pregao.research.analyzer.judge import SIDES
from pregao.research.candles import Candles
from pregao.research.models.predictor import Predictor
from pregao.research.strategies.shipped import technical_analysis
from pregao.research.strategies.strategy import FLAT, KEEP, SHORT, Plan


def plan_with_model(candles: Candles, values: Values, predictor: Predictor, *, first: int = 0) -> Plan:
    """
    Give what is wanted at every candle; before ``first`` the model is not asked.

    A model that is at least 70 percent sure has the word, else the voters have it: `combine`, candle by candle.
    """
    plan = technical_analysis(candles, values)
    wanted = plan.wanted.copy()
    for at, said in predictor.predict_each(candles, first=first):
        if not is_sure(said):
            continue
        side = SIDES[said.signal] if said.confidence_pct >= values["confidence"] else KEEP
        wanted[at] = FLAT if side == SHORT and not values["shorts"] else side
    return replace(plan, wanted=wanted)
