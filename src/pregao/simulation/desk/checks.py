"""When each account was compared with its venue, and whose past is not known since a stream was taken over."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from pregao.domain.account import Venue
from pregao.simulation.desk.held import live_rows
from pregao.simulation.desk.state import ON_ITS_WAY, CheckRow, State

CHECK_HOLDING_SECONDS = 300.0
CHECK_FLAT_SECONDS = 3_600.0


def mark_unreconciled(state: State, venue: Venue, *, now: datetime) -> list[int]:
    marked = [
        number
        for number, account in sorted(state.accounts.items())
        if account.venue is venue and _has_something_live(state, number)
    ]
    for number in marked:
        row = state.account_checks.get(number) or CheckRow(due_at=now)
        state.account_checks[number] = replace(row, unreconciled_since=row.unreconciled_since or now)
    return marked


def _has_something_live(state: State, account_id: int) -> bool:
    orders = state.orders.values()
    return any(live_rows(state, account_id)) or any(
        row.account_id == account_id and row.status in ON_ITS_WAY for row in orders
    )


def mark_doubted(state: State, account_id: int, *, now: datetime) -> None:
    row = state.account_checks.get(account_id) or CheckRow(due_at=now)
    since = row.unreconciled_since or now
    state.account_checks[account_id] = replace(row, unreconciled_since=since, must_compare=True)


def mark_forgotten(state: State, *, now: datetime) -> None:
    for number in sorted(state.accounts):
        row = state.account_checks.get(number) or CheckRow(due_at=now)
        state.account_checks[number] = replace(
            row, due_at=now, unreconciled_since=now, must_compare=True, restored_at=now, is_unsure=True
        )


def is_unsure(state: State, account_id: int) -> bool:
    """Say whether the books were put back, and what has traded on the account since is not told yet."""
    row = state.account_checks.get(account_id)
    return row is not None and row.is_unsure


def mark_reconciled(state: State, account_id: int) -> bool:
    row = state.account_checks.get(account_id)
    if row is None:
        return False
    is_marked = row.unreconciled_since is not None and not row.must_compare
    known = replace(row, is_unsure=False)
    state.account_checks[account_id] = replace(known, unreconciled_since=None) if is_marked else known
    return is_marked


def forgetful_accounts(state: State, venue: Venue) -> list[int]:
    return [
        number
        for number, row in sorted(state.account_checks.items())
        if (row.is_unsure or row.must_compare)
        and state.accounts[number].venue is venue
        and (state.accounts[number].is_active or any(live_rows(state, number)))
    ]


def claim_due(state: State, venues: Collection[Venue], *, now: datetime, limit: int) -> list[int]:
    active = [number for number, one in state.accounts.items() if one.venue in venues and one.is_active]
    for number in active:
        state.account_checks.setdefault(number, CheckRow(due_at=now))
    due = sorted(active, key=lambda number: (state.account_checks[number].due_at, number))
    due = [number for number in due if state.account_checks[number].due_at <= now][:limit]
    for number in due:
        pause = CHECK_HOLDING_SECONDS if any(live_rows(state, number)) else CHECK_FLAT_SECONDS
        row = state.account_checks[number]
        state.account_checks[number] = replace(row, due_at=now + timedelta(seconds=pause))
    return due


def note_check(state: State, account_id: int, *, agrees: bool, now: datetime) -> None:
    row = state.account_checks.get(account_id) or CheckRow(
        due_at=now + timedelta(seconds=CHECK_HOLDING_SECONDS)
    )
    state.account_checks[account_id] = replace(
        row,
        checked_at=now,
        agreed_at=now if agrees else row.agreed_at,
        unreconciled_since=None if row.must_compare else row.unreconciled_since,
        must_compare=False,
    )
