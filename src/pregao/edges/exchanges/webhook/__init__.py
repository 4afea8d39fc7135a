"""A webhook of somebody else's as a venue: one order is one post, and its answer is all that is ever known."""

from pregao.edges.exchanges.webhook.exchange import WebhookExchange

__all__ = ["WebhookExchange"]
