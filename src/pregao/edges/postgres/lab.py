"""The lab's runs and questions: asked here, carried out by the one worker that holds the lease `lab`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from pregao.domain.facts import Fact, LabRunEnded
from pregao.domain.lab import LabRun, Topic
from pregao.edges.postgres.journal import Journal, Transaction
from pregao.edges.postgres.rows import encode_json, to_value
from pregao.edges.postgres.sorting import fetch_lines
from pregao.views.lab import LabAnswer, LabLine
from pregao.views.sorting import LAB_FIELDS, NEWEST_FIRST, Shape

BELL = "lab"  # a question waits
ANSWERS_BELL = "lab_answers"  # these are answered
LOOK_SECONDS = 0.5  # while somebody waits for an answer: a ring may be lost
KEPT = timedelta(minutes=1)  # questions after their time
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7234038)"

LINES = """
SELECT r.*, w.done, w.total, w.starts, w.seconds FROM lab_runs AS r LEFT JOIN lab_work AS w USING (run_id)
WHERE ($1::uuid IS NULL OR r.user_id = $1)
"""
NUMBER = "CASE WHEN figures ->> '{0}' ~ '^-?[0-9]{{1,30}}([.][0-9]{{1,30}})?$' THEN figures ->> '{0}' END"
HAS_WORK = """
SELECT EXISTS (SELECT FROM lab_runs WHERE ended_at IS NULL)
    OR EXISTS (SELECT FROM lab_questions WHERE answered_at IS NULL AND expires_at > clock_timestamp())
"""


class PostgresLabBooks:
    """The port `lab.ports.LabBooks`."""

    def __init__(self, journal: Journal) -> None:
        """Write to this journal."""
        self._journal = journal

    @asynccontextmanager
    async def open(self, *, owner: UUID | None) -> AsyncIterator["PostgresLabBook"]:
        """Open a transaction; two who ask at once do not both take the last place."""
        async with self._journal.transaction() as transaction:
            await transaction.connection.execute(ONE_AT_A_TIME)
            yield PostgresLabBook(transaction, owner=owner)


class PostgresLabBook:
    """The port `lab.ports.LabBook`, over one open transaction."""

    def __init__(self, transaction: Transaction, *, owner: UUID | None) -> None:
        """See what is the owner's; None sees all."""
        self._transaction = transaction
        self._owner = owner

    async def waiting(self, *, user_id: UUID | None) -> tuple[int, int]:
        row = await self._transaction.connection.fetchrow(
            """
            SELECT count(*)::int AS every, count(*) FILTER (WHERE user_id IS NOT DISTINCT FROM $1)::int AS own
            FROM lab_runs WHERE ended_at IS NULL
            """,
            user_id,
        )
        assert row is not None
        return row["every"], row["own"]

    async def find_run(self, run_id: UUID) -> LabRun | None:
        row = await self._transaction.connection.fetchrow(
            "SELECT * FROM lab_runs WHERE run_id = $1 AND ($2::uuid IS NULL OR user_id = $2) FOR NO KEY UPDATE",
            run_id,
            self._owner,
        )
        return None if row is None else to_value(row, LabRun)

    async def append(self, facts: Iterable[Fact]) -> None:
        await self._transaction.append(list(facts))


class PostgresLabRuns:
    """The port `views.lab.LabRuns`."""

    def __init__(self, pool: asyncpg.Pool, *, ring: Callable[[], None] = lambda: None) -> None:
        """Read from ``pool``, whose search path must be our schema; call ``ring`` after each question."""
        self._pool = pool
        self._ring = ring
        self._waiting: dict[str, asyncio.Event] = {}

    def heard(self, words: str) -> None:
        """Look for the answers of these questions: the bell `lab_answers` rang."""
        for question_id in words.split():
            if question_id in self._waiting:
                self._waiting[question_id].set()

    async def runs(
        self, *, owner: UUID | None, after: UUID | None, shape: Shape = NEWEST_FIRST, limit: int
    ) -> list[LabLine]:
        rows = await fetch_lines(
            self._pool,
            LINES,
            owner,
            shape=shape,
            fields=LAB_FIELDS,
            columns={name: NUMBER.format(name) for name in ("sharpe", "return_pct")},
            key="run_id::uuid",
            after=after,
            searched=("symbol", "timeframe", "kind", "asked_by", "figures ->> 'strategy'"),
            limit=limit,
        )
        return [_line(row) for row in rows]

    async def find_run(self, run_id: UUID, *, owner: UUID | None) -> LabLine | None:
        row = await self._pool.fetchrow(f"{LINES} AND r.run_id = $2", owner, run_id)
        return None if row is None else _line(row)

    async def result(self, run_id: UUID) -> Mapping[str, Any] | None:
        told = await self._pool.fetchval("SELECT result FROM lab_results WHERE run_id = $1", run_id)
        return None if told is None else msgspec.json.decode(told)

    async def answer(self, topic: Topic, question: Mapping[str, Any], *, seconds: float) -> LabAnswer | None:
        question_id = uuid4()
        answered = self._waiting[str(question_id)] = asyncio.Event()
        try:
            return await self._answer(question_id, topic, question, answered=answered, seconds=seconds)
        finally:
            del self._waiting[str(question_id)]

    async def _answer(
        self,
        question_id: UUID,
        topic: Topic,
        question: Mapping[str, Any],
        *,
        answered: asyncio.Event,
        seconds: float,
    ) -> LabAnswer | None:
        await self._pool.execute(
            """
            INSERT INTO lab_questions (question_id, topic, question, expires_at)
            VALUES ($1, $2, $3::text::jsonb, clock_timestamp() + $4)
            """,
            question_id,
            topic,
            encode_json(question).decode(),
            timedelta(seconds=seconds),
        )
        self._ring()
        async with asyncio.timeout(seconds + 1):
            while True:
                row = await self._pool.fetchrow(
                    """
                    SELECT answer, code, reason, answered_at IS NOT NULL AS is_answered,
                           expires_at < clock_timestamp() AS is_late
                    FROM lab_questions WHERE question_id = $1
                    """,
                    question_id,
                )
                if row is None or row["is_answered"] or row["is_late"]:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), LOOK_SECONDS)
                answered.clear()
        if row is None or not row["is_answered"]:
            return None
        answer = {} if row["answer"] is None else msgspec.json.decode(row["answer"])
        return LabAnswer(answer=answer, code=row["code"], reason=row["reason"])


def _line(row: Any) -> LabLine:
    return LabLine(
        run=to_value(row, LabRun),
        figures=msgspec.json.decode(row["figures"]),
        done=row["done"] or 0,
        total=row["total"] or 0,
        starts=row["starts"] or 0,
        seconds=row["seconds"],
    )


# --- the worker's side ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that waits for its answer."""

    question_id: UUID
    topic: Topic
    question: Mapping[str, Any]


class PostgresLabWork:
    """What the lab's process takes, and gives back."""

    def __init__(self, journal: Journal, *, worker_id: str, ring: Callable[[str], None]) -> None:
        """Work under this name; ``ring`` is called with the id of each question that is answered."""
        self._journal = journal
        self._pool = journal.pool
        self._worker_id = worker_id
        self._ring = ring

    async def next_run(self) -> LabRun | None:
        """Give the run that waits longest; None when none does. Only who holds the lease may ask."""
        row = await self._pool.fetchrow(
            "SELECT * FROM lab_runs WHERE ended_at IS NULL ORDER BY asked_at, run_id LIMIT 1"
        )
        return None if row is None else to_value(row, LabRun)

    async def begin(self, run_id: UUID) -> int:
        """Note that it is begun, or begun anew, and give how often: nothing of an earlier start is used."""
        starts: int = await self._pool.fetchval(
            """
            INSERT INTO lab_work (run_id, worker_id, started_at) VALUES ($1, $2, clock_timestamp())
            ON CONFLICT (run_id) DO UPDATE
            SET worker_id = excluded.worker_id, started_at = excluded.started_at, done = 0, total = 0,
                starts = lab_work.starts + 1
            RETURNING starts
            """,
            run_id,
            self._worker_id,
        )
        return starts

    async def progress(self, run_id: UUID, *, done: int, total: int) -> bool:
        """Note how far it is; False when it was called off, or is somebody else's by now."""
        return bool(
            await self._pool.fetchval(
                """
                UPDATE lab_work SET done = $3, total = $4 WHERE run_id = $1 AND worker_id = $2
                AND EXISTS (SELECT FROM lab_runs AS r WHERE r.run_id = $1 AND r.ended_at IS NULL) RETURNING true
                """,
                run_id,
                self._worker_id,
                done,
                total,
            )
        )

    async def end(self, ended: LabRunEnded, *, result: Mapping[str, Any] | None, seconds: float) -> bool:
        """Write the end and all that came of it at once; False when it is over already, or somebody else's by now."""
        async with self._journal.transaction() as transaction:
            connection = transaction.connection
            mine = await connection.fetchval(
                """
                SELECT r.ended_at IS NULL AND w.worker_id = $2 FROM lab_runs AS r JOIN lab_work AS w USING (run_id)
                WHERE r.run_id = $1 FOR NO KEY UPDATE OF r
                """,
                ended.run_id,
                self._worker_id,
            )
            if not mine:
                return False
            if result is not None:
                await connection.execute(
                    """
                    INSERT INTO lab_results (run_id, result) VALUES ($1, $2::text::jsonb)
                    ON CONFLICT (run_id) DO UPDATE SET result = excluded.result
                    """,
                    ended.run_id,
                    encode_json(result).decode(),
                )
            await connection.execute(
                "UPDATE lab_work SET seconds = $2 WHERE run_id = $1", ended.run_id, seconds
            )
            await transaction.append([ended])
        return True

    async def forget_questions(self) -> None:
        """Forget the questions whose time is long over."""
        await self._pool.execute(
            "DELETE FROM lab_questions WHERE expires_at < clock_timestamp() - $1::interval", KEPT
        )

    async def questions(self) -> Sequence[Asked]:
        """Give the questions that wait and are not too old."""
        rows = await self._pool.fetch(
            """
            SELECT question_id, topic, question FROM lab_questions
            WHERE answered_at IS NULL AND expires_at > clock_timestamp() ORDER BY asked_at LIMIT 100
            """
        )
        return [
            Asked(
                question_id=row["question_id"],
                topic=Topic(row["topic"]),
                question=msgspec.json.decode(row["question"]),
            )
            for row in rows
        ]

    async def answer(
        self,
        question_id: UUID,
        answer: Mapping[str, Any] | None,
        *,
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Answer a question."""
        await self._pool.execute(
            """
            UPDATE lab_questions SET answered_at = clock_timestamp(), answer = $2::text::jsonb, code = $3, reason = $4
            WHERE question_id = $1
            """,
            question_id,
            None if answer is None else encode_json(answer).decode(),
            code,
            reason,
        )
        self._ring(str(question_id))


async def has_work(pool: asyncpg.Pool) -> bool:
    """Say whether the lab has something to do."""
    return bool(await pool.fetchval(HAS_WORK))
