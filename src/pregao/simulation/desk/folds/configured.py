"""Folds of who trades: users, accounts, bots, subscriptions, and what they may."""

from pregao.domain import facts
from pregao.simulation.desk.folds.registry import folds
from pregao.simulation.desk.state import State


@folds(facts.UserConfigured)
def _(state: State, fact: facts.UserConfigured) -> None:
    state.users[fact.user.user_id] = fact.user


@folds(facts.AccountConfigured)
def _(state: State, fact: facts.AccountConfigured) -> None:
    state.accounts[fact.account.account_id] = fact.account


@folds(facts.BotConfigured)
def _(state: State, fact: facts.BotConfigured) -> None:
    state.bots[fact.bot.bot_id] = fact.bot


@folds(facts.SubscriptionConfigured)
def _(state: State, fact: facts.SubscriptionConfigured) -> None:
    state.subscriptions[fact.subscription.subscription_id] = fact.subscription


@folds(facts.BotForgotten)
def _(state: State, fact: facts.BotForgotten) -> None:
    state.bots.pop(fact.bot_id, None)
    state.subscriptions = {key: one for key, one in state.subscriptions.items() if one.bot_id != fact.bot_id}


@folds(facts.TradingStateSet)
def _(state: State, fact: facts.TradingStateSet) -> None:
    state.trading_states[fact.level, fact.subject] = fact
