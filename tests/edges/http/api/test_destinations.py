"""The limit on forwards over HTTP: ours and system A's own paths (F012, F013, F037)."""

import asyncio
from collections import Counter

import pytest

from pregao.domain.facts import ForwardLimitSet
from pregao.edges.postgres.destinations import PostgresLimiter
from tests.edges.http.api.own_desk import code_of

LIMIT = "/api/v1/destinations/limit"
LIMITER = "/admin/webhook-rate-limiter"
SOON = 10.0


async def leaves(limiter):
    """Say whether a forward leaves now."""
    return (await limiter.take(7)).slots == 1


class TestLimit:
    async def test_f012_lets_sixty_go_in_a_minute_and_acts_at_once_when_lowered(self, desk):
        limiter = PostgresLimiter(desk.journal.pool)
        for _ in range(60):
            await asyncio.wait_for(limiter.acquire(7), SOON)
        the_next = await leaves(limiter)
        shown = (await desk.client.get(LIMIT)).json()
        await desk.journal.pool.execute(
            """
            UPDATE forward_slots
            SET taken_at = ARRAY(SELECT at - interval '60 s' FROM unnest(taken_at[:50]) AS at) || taken_at[51:]
            """
        )
        freed = await leaves(limiter)
        await desk.client.post(f"{LIMITER}/update", json={"max_req_per_min": 11})
        lowered = await leaves(limiter)

        assert (the_next, freed, lowered) == (False, True, False)
        assert (shown["max_per_minute"], shown["is_enabled"], shown["set_by"]) == (60, True, None)
        [line] = shown["destinations"]
        assert (line["account_id"], line["taken"], line["left"], line["is_full"]) == (7, 60, 0, True)

    async def test_f013_f037_is_updated_paused_and_resumed_kept_and_told_with_who(self, desk):
        ana = await desk.enroll("ana", role="operator")
        told = [
            await ana.client.post(f"{LIMITER}/update", json={"max_req_per_min": 5, "token": "is ignored"}),
            await ana.client.post(f"{LIMITER}/pause", json={}),
            await desk.client.post(f"{LIMITER}/resume"),
            await desk.client.post(f"{LIMITER}/resume"),
            await desk.client.post(f"{LIMITER}/update", json={"rate_limiting_enabled": False}),
        ]
        shown = (await desk.client.get(LIMIT)).json()
        facts = [one for one in await desk.journaled() if isinstance(one, ForwardLimitSet)]

        assert [(one.status_code, one.content) for one in told] == [(204, b"")] * 5
        assert (shown["max_per_minute"], shown["is_enabled"], shown["set_by"]) == (5, False, "admin token")
        assert [(one.max_per_minute, one.is_enabled, one.set_by) for one in facts] == [
            (5, True, "ana@desk.test, session"),
            (5, False, "ana@desk.test, session"),
            (5, True, "admin token"),
            (5, False, "admin token"),
        ]
        assert desk.rings.count("destinations") == 5
        assert Counter(one["action"] for one in await desk.actions(action="update_limiter_at_source")) == {
            "update_limiter_at_source": 2
        }

    @pytest.mark.parametrize("most", [0, 301, -1])
    async def test_f013_takes_nothing_outside_its_range(self, desk, most):
        at_source = await desk.client.post(f"{LIMITER}/update", json={"max_req_per_min": most})
        ours = await desk.client.patch(LIMIT, json={"max_per_minute": most})

        assert (at_source.status_code, code_of(at_source)) == (400, "FORWARD_LIMIT_UNUSABLE")
        assert (ours.status_code, code_of(ours)) == (422, "FORWARD_LIMIT_UNUSABLE")
        assert (await desk.client.get(LIMIT)).json()["max_per_minute"] == 60

    async def test_is_changed_paused_and_resumed_at_our_own_paths(self, desk):
        changed = await desk.client.patch(LIMIT, json={"max_per_minute": 300})
        paused = await desk.client.post(f"{LIMIT}/pause")
        resumed = await desk.client.post(f"{LIMIT}/resume")

        assert [
            (one.json()["max_per_minute"], one.json()["is_enabled"]) for one in (changed, paused, resumed)
        ] == [
            (300, True),
            (300, False),
            (300, True),
        ]

    async def test_is_no_business_of_strangers_and_traders(self, desk):
        stranger = await desk.coming_with("")
        trader = await desk.enroll("bia")
        paths = [("POST", f"{LIMITER}/{one}") for one in ("update", "pause", "resume")]

        for client, status in ((stranger, 401), (trader.client, 403)):
            for method, path in [*paths, ("GET", LIMIT), ("PATCH", LIMIT)]:
                assert (await client.request(method, path, json={})).status_code == status
