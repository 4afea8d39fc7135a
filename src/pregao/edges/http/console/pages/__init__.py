"""
The console's pages, one module for each subject: each reads what it shows, for whoever looks, and changes nothing.

Templates and the words of catalogs lie in folders and files of the same names.
"""

from fastapi import APIRouter

from pregao.edges.http.console.pages import (
    accounts,
    alerts,
    begin,
    bots,
    drift,
    guards,
    lab,
    meanings,
    operations,
    overview,
    people,
    performance,
    receipt,
    signals,
    strategies,
    subscriptions,
    trades,
)

routes = APIRouter(include_in_schema=False)
for _subject in (
    begin,
    overview,
    signals,
    receipt,
    trades,
    performance,
    lab,
    strategies,
    bots,
    guards,
    subscriptions,
    accounts,
    alerts,
    operations,
    drift,
    people,
    meanings,
):
    routes.include_router(_subject.routes)
