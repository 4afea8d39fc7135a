"""
The proof must be able to fail: each bug here is planted into a copy of the source, and the proof has to find it.

Two of them are part of the suite; PREGAO_PROOF_MUTANTS=all plants every one (some ten minutes).
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proof.carried_out import SOURCE, carry_out


@dataclass(frozen=True)
class Mutant:
    """One bug: the texts it changes, and a proof that is enough to find it."""

    name: str
    changes: Sequence[tuple[str, str, str]]  # file, text that is there, text that takes its place
    options: Sequence[str]
    figures: frozenset[str]  # one of them must not be 0


DOUBLED = frozenset({"orders_duplicated", "ledger_differences"})

MUTANTS = [
    Mutant(
        name="resend on timeout",
        changes=[
            (
                "orders/send.py",
                "        acknowledgement = await exchange.submit(attempt_of(order))\n",
                (
                    "        try:\n"
                    "            acknowledgement = await exchange.submit(attempt_of(order))\n"
                    "        except OutcomeUnknown:\n"
                    "            acknowledgement = await exchange.submit(attempt_of(order))\n"
                ),
            )
        ],
        options=("--signals", "16", "--accounts", "4", "--faults", "lose", "--kill", "none"),
        figures=DOUBLED,
    ),
    Mutant(
        name="believe not found at once",
        changes=[
            (
                "orders/resolve.py",
                (
                    "    if exchange.venue_now_ms() <= order.signed_at_ms + order.recv_window_ms + CLOCK_MARGIN_MS:\n"
                    "        return []\n"
                ),
                "    return [try_again(order, now=clock())]\n",
            )
        ],
        options=("--signals", "30", "--accounts", "10", "--faults", "lose,lag,drop", "--kill", "none"),
        figures=DOUBLED,
    ),
    Mutant(
        name="commit after sending",
        changes=[
            (
                "trading/arrivals.py",
                '            rehearsal.reach("trader.attempts.written")\n',
                (
                    "            self._floor.go_on(done)\n"
                    "            await self._floor._outbox.close()\n"
                    '            rehearsal.reach("trader.attempts.written")\n'
                ),
            )
        ],
        options=(
            *("--signals", "12", "--accounts", "4", "--faults", "none"),
            *("--kill", "trader.attempts.written:kill"),
        ),
        figures=DOUBLED,
    ),
    Mutant(
        name="skip the lease",
        changes=[
            (
                "bootstrap/process.py",
                "    await workers.renew_until_lost(lease)\n",
                "    while True:\n        await workers.renew_until_lost(lease)\n",
            )
        ],
        options=(
            *("--signals", "8", "--accounts", "3", "--faults", "none"),
            *("--kill", "trader.order.answered:freeze"),
        ),
        figures=frozenset({"leases_outlived"}),
    ),
    Mutant(
        name="sign again at send",
        changes=[
            (
                "trading/floor.py",
                "            told = await send_order(\n",
                (
                    "            from dataclasses import replace\n\n"
                    "            from pregao.domain.clock import to_ms\n\n"
                    "            order = replace(order, signed_at_ms=to_ms(self.clock()))\n"
                    "            told = await send_order(\n"
                ),
            )
        ],
        options=(
            *("--signals", "16", "--accounts", "8", "--faults", "none"),
            *("--kill", "trader.attempts.committed:freeze,trader.order.leaving:freeze"),
        ),
        figures=DOUBLED,
    ),
    Mutant(
        name="book a fill twice",
        changes=[
            ("fills/book.py", "        if key_of(report) in booked:\n            continue\n", ""),
            (
                "edges/postgres/folds/positions.py",
                '$16::boolean[], $17::timestamptz[], $18::timestamptz[], $19::numeric[])\n        """',
                (
                    "$16::boolean[], $17::timestamptz[], $18::timestamptz[], $19::numeric[])\n"
                    '        ON CONFLICT DO NOTHING\n        """'
                ),
            ),
        ],
        options=("--signals", "12", "--accounts", "4", "--faults", "duplicate", "--kill", "none"),
        figures=DOUBLED,
    ),
    Mutant(
        name="fill key without the symbol",
        changes=[
            (
                "fills/book.py",
                "    return report.account_id, trade.symbol, trade.trade_id, trade.exchange_order_id\n",
                '    return report.account_id, "", trade.trade_id, ""\n',
            ),
            (
                "edges/postgres/books.py",
                (
                    "            SELECT account_id, symbol, trade_id, exchange_order_id FROM fills\n"
                    "            JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[])\n"
                    "                 AS told (account_id, symbol, trade_id, exchange_order_id)\n"
                    "            USING (account_id, symbol, trade_id, exchange_order_id)\n"
                ),
                (
                    "            SELECT account_id, '', trade_id, '' FROM fills\n"
                    "            JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[])\n"
                    "                 AS told (account_id, no_symbol, trade_id, no_order)\n"
                    "            USING (account_id, trade_id)\n"
                ),
            ),
        ],
        # Each account trades two symbols with this seed, whose trades have the same numbers.
        options=("--signals", "30", "--accounts", "3", "--seed", "65", "--faults", "none", "--kill", "none"),
        figures=frozenset({"ledger_differences"}),
    ),
    Mutant(
        name="exit twice what is held",
        changes=[
            (
                "orders/exits.py",
                (
                    "        quantity=quantity,\n"
                    "        # Hedge mode forbids reduceOnly: there the opposite side on the same position side can only reduce.\n"
                    "        reduce_only=position.position_side is PositionSide.BOTH,\n"
                ),
                "        quantity=2 * quantity,\n        reduce_only=False,\n",
            )
        ],
        options=(
            *("--stops", "--signals", "4", "--accounts", "3", "--faults", "none"),
            *("--kill", "stops.claim.committed:kill"),  # so that a price is led to a target
        ),
        figures=frozenset({"exits_doubled"}),
    ),
    Mutant(
        name="forget an exit that was left to the venue",
        changes=[
            (
                "trading/executions.py",
                "        if not due:\n            return\n",
                "        if due is not None:\n            return\n",
            )
        ],
        options=("--stops", "--signals", "3", "--accounts", "3", "--faults", "reject", "--kill", "none"),
        figures=frozenset({"exits_missing"}),
    ),
    Mutant(
        name="place the venue's line late while nobody watches",
        changes=[
            (
                "trading/lines.py",
                "        await self._floor.orders_have_left()\n",
                "        await asyncio.sleep(8)\n",
            ),
            (
                "trading/monitor.py",
                "        self._away_since = None\n        until = began",
                "        self._away_since = None\n        held = frozenset()\n        until = began",
            ),
        ],
        options=("--stops", "--signals", "3", "--accounts", "3", "--faults", "none", "--kill", "none"),
        figures=frozenset({"unguarded_too_long"}),
    ),
]
FAST = ("resend on timeout", "commit after sending")


def plant(mutant: Mutant, folder: Path) -> Path:
    """Copy the source with the bug in it; a bug whose place is gone must be written anew."""
    copy = folder / "src"
    shutil.copytree(SOURCE / "pregao", copy / "pregao", ignore=shutil.ignore_patterns("__pycache__"))
    for file, there, planted in mutant.changes:
        path = copy / "pregao" / file
        text = path.read_text()
        assert text.count(there) == 1, f"{mutant.name}: {file} has not this text once any more:\n{there}"
        path.write_text(text.replace(there, planted))
    return copy


def planted() -> list[Mutant]:
    wanted = os.environ.get("PREGAO_PROOF_MUTANTS", "")
    return [
        mutant for mutant in MUTANTS if wanted in ("all", mutant.name) or (not wanted and mutant.name in FAST)
    ]


class TestMutants:
    @pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
    def test_have_a_place_in_the_source(self, mutant, tmp_path):
        plant(mutant, tmp_path)

    @pytest.mark.extra
    @pytest.mark.parametrize("mutant", planted(), ids=lambda mutant: mutant.name)
    def test_are_found(self, mutant, tmp_path):
        source = plant(mutant, tmp_path)

        code, page = carry_out("--seed", "7", *mutant.options, source=source)

        assert code == 1, f"the proof did not find it: {mutant.name}"
        assert any(page["figures"][figure] for figure in mutant.figures), page["reasons"]
