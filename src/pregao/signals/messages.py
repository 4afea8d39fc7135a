"""
Messages to paste into an alert of TradingView, each with what it is for.

TradingView fills in what stands in double braces. `SECRET` stands where the bot's secret belongs; a test reads every
message as an alert, filled in.
"""

from dataclasses import dataclass

SECRET = "YOUR-SECRET"  # noqa: S105  # the place of one

_STRATEGY = (
    '  "ticker": "{{ticker}}",',
    '  "action": "{{strategy.order.action}}",',
    '  "market_position": "{{strategy.market_position}}",',
    '  "prev_market_position": "{{strategy.prev_market_position}}",',
    '  "price": "{{strategy.order.price}}",',
    '  "timenow": "{{timenow}}",',
)
_SECRET_LINE = f'  "secret": "{SECRET}"'


@dataclass(frozen=True, slots=True)
class Message:
    """One of them."""

    name: str
    text: str
    says: str = ""  # what whoever takes it should know


def _one(action: str, *, more: str = "") -> str:
    return f'{{"ticker": "{{{{ticker}}}}", "action": "{action}",{more} "timenow": "{{{{timenow}}}}", "secret": "{SECRET}"}}'


def _lines(*lines: str) -> str:
    return "\n".join(("{", *lines, "}"))


MESSAGES = (
    Message(
        "A strategy",
        _lines(*_STRATEGY, _SECRET_LINE),
        "For all alerts of a strategy: buys, sells, and what leaves it flat closes.",
    ),
    Message(
        "A strategy, with its quantity",
        _lines(
            *_STRATEGY,
            '  "contracts": "{{strategy.order.contracts}}",',
            _SECRET_LINE,
        ),
        "The receipt shows the quantity; each account trades with its own margin and leverage.",
    ),
    Message("Buy", _one("buy"), "For an indicator or a price alert."),
    Message("Sell", _one("sell"), "Closes a long, or opens a short, as the bot's rules say."),
    Message("Close", _one("close"), "Closes what the bot holds on the symbol. No limit ever stops a close."),
    Message("Close half", _one("close", more=' "percent": 50,'), "Any share from 1 to 100."),
    Message(
        "Close everything",
        f'{{"action": "close_all", "timenow": "{{{{timenow}}}}", "secret": "{SECRET}"}}',
        "On every symbol that the bot holds.",
    ),
    Message(
        "Buy, with a stop and a target",
        _one("buy", more=' "stop_loss": "{{plot_0}}", "take_profit": "{{plot_1}}",'),
        "They are shown in the receipt and not used: the bot's and the subscription's count.",
    ),
)


def example(symbol: str) -> str:
    """Give an alert that can be posted as it stands, but for the secret."""
    return f'{{"ticker": "{symbol}", "action": "buy", "secret": "{SECRET}"}}'
