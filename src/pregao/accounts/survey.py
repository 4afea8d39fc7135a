"""
Ask a venue how an account stands there, and set ahead what a signal would have to set.

Takes an account and what it follows. Gives what was found; ``preflight`` says what it means.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TypeVar

from pregao.accounts.found import Answer, Follows, Found, symbols_of
from pregao.accounts.ports import AccountVenue
from pregao.accounts.preflight import leverages_to_set
from pregao.domain.account import Account
from pregao.domain.preflight import SymbolRules
from pregao.domain.venue import Refused, RetryLater, VenueError

ASK_AGAIN_SECONDS = (
    0.5  # one lost answer, one refusal that the next request does not meet, must not turn a light red
)
SLOW_SECONDS = 2.0  # whoever let a question wait that long is not asked it twice: a light comes in time
OWN_LIMITS = frozenset({"WEIGHT_NEARLY_USED", "VENUE_PAUSED"})
"""Why we did not ask: it says nothing about the account, and the check is put off."""

T = TypeVar("T")
IsQuiet = Callable[[str | None], Awaitable[bool]]
"""Says whether the books hold nothing and have nothing on its way, on a symbol or on the whole account."""


async def survey_account(
    account: Account,
    follows: Sequence[Follows],
    *,
    venue: AccountVenue,
    is_quiet: IsQuiet,
    fixes_position_mode: bool = False,
) -> Found:
    """
    Ask everything, set leverage and margin modes ahead where nothing is open, and give what was found.

    The position mode is set only when told to, and where nothing is open.

    :raises RetryLater: when the address has no weight left to ask with: put the check off.
    """
    number = account.account_id
    symbols = {symbol for one in follows for symbol in symbols_of(one)}
    rights = await _asked(partial(venue.key_rights, number))
    rules = await _asked(partial(venue.account_rules, number))
    if isinstance(rules, VenueError):
        # A venue that is away, or refuses the key, answers the other questions no better.
        found = Found(
            account=account, follows=follows, rights=rights, rules=rules, funds=rules, symbols=rules,
            brackets=rules, instruments=rules,
        )  # fmt: skip
        return _timed(found, venue)
    found = Found(
        account=account,
        follows=follows,
        rights=rights,
        rules=rules,
        funds=await _asked(partial(venue.funds, number)),
        symbols=await _asked(partial(venue.symbol_rules, number, symbols)),
        brackets=await _asked(partial(venue.brackets, number)) if symbols else {},
        instruments=await _asked(venue.instruments) if symbols else {},
        prices=await _prices(symbols, venue=venue),
    )
    if fixes_position_mode:
        found = await _with_position_mode(found, venue=venue, is_quiet=is_quiet)
    return _timed(await _with_leverages(found, venue=venue, is_quiet=is_quiet), venue)


async def _asked(ask: Callable[[], Awaitable[T]]) -> Answer[T]:
    began = asyncio.get_running_loop().time()
    trouble = await _try(ask)
    is_slow = asyncio.get_running_loop().time() - began > SLOW_SECONDS
    if not isinstance(trouble, VenueError) or is_slow:
        return trouble
    await asyncio.sleep(ASK_AGAIN_SECONDS)
    return await _try(ask)


async def _try(ask: Callable[[], Awaitable[T]]) -> Answer[T]:
    try:
        return await ask()
    except VenueError as trouble:
        if isinstance(trouble, RetryLater) and trouble.code in OWN_LIMITS:
            raise
        return trouble


async def _prices(symbols: Collection[str], *, venue: AccountVenue) -> Mapping[str, Decimal]:
    prices = {symbol: await _try(partial(venue.price, symbol)) for symbol in sorted(symbols)}
    return {symbol: price for symbol, price in prices.items() if isinstance(price, Decimal)}


async def _with_position_mode(found: Found, *, venue: AccountVenue, is_quiet: IsQuiet) -> Found:
    account, rules = found.account, found.rules
    if isinstance(rules, VenueError) or rules.position_mode is account.position_mode:
        return found
    if isinstance(found.funds, VenueError) or found.funds.held or not await is_quiet(None):
        return found
    try:
        await venue.set_position_mode(account.account_id, account.position_mode)
    except Refused:
        return found  # something was opened there meanwhile: the mode still differs, and the check says so
    except VenueError as unknown:
        return replace(found, rules=unknown)
    return replace(found, rules=await _asked(partial(venue.account_rules, account.account_id)))


async def _with_leverages(found: Found, *, venue: AccountVenue, is_quiet: IsQuiet) -> Found:
    if isinstance(found.symbols, VenueError):
        return found
    account, symbols, refusals = found.account, dict(found.symbols), dict(found.refusals)
    for symbol, leverage in leverages_to_set(found).items():
        if not await is_quiet(symbol):
            continue
        try:
            await venue.set_symbol(
                account.account_id, symbol, leverage=leverage, margin_mode=account.margin_mode
            )
        except VenueError as trouble:
            refusals[symbol] = trouble
        else:
            symbols[symbol] = SymbolRules(leverage=leverage, margin_mode=account.margin_mode)
    return replace(found, symbols=symbols, refusals=refusals)


def _timed(found: Found, venue: AccountVenue) -> Found:
    return replace(
        found, clock=venue.clock_reading(), is_streamed=venue.is_streamed(found.account.account_id)
    )
