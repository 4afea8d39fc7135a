"""Ask the lab's process something that it answers at once."""

from typing import Any

from pregao.domain.lab import Topic
from pregao.edges.http.desk import Desk
from pregao.edges.http.errors import ApiError, ErrorBody

RETRY_SECONDS = 5
STATUSES = {"CANDLES_MISSING": 404, "MODEL_MISSING": 404, "CANDLES_UNAVAILABLE": 503}
BUSY: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorBody, "description": "DATABASE_AWAY, LAB_BUSY, CANDLES_UNAVAILABLE"}
}


async def ask_lab(desk: Desk, topic: Topic, question: dict[str, Any]) -> dict[str, Any]:
    """
    Give the lab's answer, for which it may have to start first.

    :raises ApiError: when it has none, or gives none in time.
    """
    told = await desk.lab_runs.answer(topic, question, seconds=desk.lab_answer_seconds_max)
    if told is None:
        raise ApiError(
            503,
            "LAB_BUSY",
            f"seconds={desk.lab_answer_seconds_max:g}. The lab has not answered in time; ask again. Its log says what it does.",
            retry_seconds=RETRY_SECONDS,
        )
    if told.code is not None:
        raise ApiError(STATUSES.get(told.code, 422), told.code, told.reason or "")
    return dict(told.answer)
