"""Who may come in, what an error looks like, and the health of the desk (F036, F060)."""

import json
from dataclasses import replace

import pytest
import structlog

from pregao.domain.user import Role
from pregao.edges.http.api import create_api
from pregao.edges.postgres.configured import PostgresConfigured
from pregao.edges.postgres.views import PostgresHealth
from tests.edges.http.api.own_desk import ACCOUNTS, AUTH, AWAY, BOTS, TOKEN, client_of, code_of


def operations(app) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item]


HEALTH_PATHS = ("/health", "/health/ready", "/health/detailed", f"{BOTS}/health")
SCREENER = "https://finviz.com/screener.ashx?v=111"


class Exploding:
    """A port with a secret in its error."""

    async def bots(self, **_wanted):
        raise RuntimeError("postgresql://admin:hunter2@db")


class TestAdmission:
    async def test_turns_every_closed_route_away_without_the_token(self, desk):
        """F036: no admin route without a credential."""
        async with client_of(desk.ports, token="wrong") as stranger:
            answers = {
                (method, path): (await stranger.request(method, path.replace("{", "").replace("}", "")))
                for method, path in operations(create_api(desk.ports))
            }

        opened = {path for (_, path), answer in answers.items() if answer.status_code != 401}
        assert opened == {*HEALTH_PATHS, f"{AUTH}/login"}
        assert {code_of(answer) for answer in answers.values() if answer.status_code == 401} == {
            "TOKEN_WRONG"
        }

    @pytest.mark.parametrize("header", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer "])
    async def test_takes_the_token_only(self, desk, header):
        answer = await desk.client.get(BOTS, headers={"Authorization": header})

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_closes_websockets_of_strangers(self, desk):
        told = []

        async def send(message):
            told.append(message)

        scope = {"type": "websocket", "path": "/api/v1/anything", "headers": []}
        await create_api(desk.ports)(scope, None, send)

        assert told == [{"type": "websocket.close", "code": 1008}]

    async def test_admits_nobody_when_there_is_no_token(self, desk):
        async with client_of(replace(desk.ports, admin_token=""), token="") as client:
            answer = await client.get(BOTS)

        assert answer.status_code == 401

    async def test_looks_at_the_token_before_the_body(self, desk):
        answer = await desk.client.post(BOTS, content=b"{", headers={"Authorization": "Bearer wrong"})

        assert answer.status_code == 401

    @pytest.mark.parametrize("is_chunked", [False, True])
    async def test_reads_no_more_than_a_body_may_have(self, desk, is_chunked):
        async def chunks():
            for _ in range(70):
                yield b"x" * 1024

        answer = await desk.client.post(ACCOUNTS, content=chunks() if is_chunked else b"x" * 70 * 1024)

        assert (answer.status_code, code_of(answer)) == (413, "BODY_TOO_LARGE")


class TestTokenInTheBody:
    """F036: programs written for system A send it there."""

    @pytest.mark.parametrize("path", ["/admin/engine/pause", "/finviz/config"])
    async def test_lets_in_at_the_source_s_paths(self, desk, path):
        stranger = await desk.coming_with("")

        answer = await stranger.post(path, json={"token": TOKEN, "finviz_url": SCREENER})

        [action] = await desk.actions()
        assert (answer.status_code, action["principal"]) == (204, "admin token")
        assert TOKEN not in await desk.everything_stored()

    async def test_lets_in_with_a_form(self, desk):
        stranger = await desk.coming_with("")

        answer = await stranger.post(
            "/admin/engine/nothing", data={"token": TOKEN}, files={"file": ("rows.csv", b"a,b")}
        )

        assert code_of(answer) == "PATH_UNKNOWN", "he got so far"

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/admin/engine/pause", 403), ("/finviz/config", 403), ("/admin/finviz/strategies", 401)],
    )
    async def test_is_refused_with_the_source_s_status(self, desk, path, status):
        stranger = await desk.coming_with("")

        answer = await stranger.post(path, json={"token": f"{TOKEN}x"})

        assert (answer.status_code, code_of(answer)) == (status, "TOKEN_WRONG")
        assert TOKEN not in answer.text

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 7}', b"[" * 60_000, b"{", b'{"token": null}'])
    async def test_is_missed_where_the_body_has_none(self, desk, body):
        stranger = await desk.coming_with("")

        answer = await stranger.post("/admin/engine/pause", content=body)

        assert (answer.status_code, code_of(answer)) == (401, "TOKEN_WRONG")

    async def test_is_not_looked_at_elsewhere_nor_beside_a_header(self, desk):
        stranger, liar = await desk.coming_with(""), await desk.coming_with("wrong")

        ours = await stranger.post(BOTS, json={"token": TOKEN, "name": "EMA"})
        beside = await liar.post("/admin/engine/pause", json={"token": TOKEN})

        assert [ours.status_code, beside.status_code] == [401, 401]

    async def test_reads_no_more_than_a_body_may_have(self, desk):
        stranger = await desk.coming_with("")

        async def chunks():
            yield b'{"token": "%s", "rest": "' % TOKEN.encode()
            for _ in range(70):
                yield b"x" * 1024

        answer = await stranger.post("/admin/engine/pause", content=chunks())

        assert answer.status_code in (401, 413)


class TestErrors:
    async def test_tell_no_exceptions_text(self, desk):
        with structlog.testing.capture_logs() as logs:
            async with client_of(replace(desk.ports, configured=Exploding())) as client:
                answer = await client.get(BOTS)

        assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
        assert "hunter2" not in answer.text
        assert [entry["event"] for entry in logs] == ["http.api.failed"]

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_are_503_while_the_database_is_away(self, desk, database, away_pool):
        away = replace(desk.ports, configured=PostgresConfigured(await away_pool(database)))

        async with client_of(away) as client:
            answer = await client.get(BOTS)

        assert (answer.status_code, code_of(answer)) == (503, "DATABASE_AWAY")
        assert answer.headers["retry-after"]

    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/api/v1/nothing", 404, "PATH_UNKNOWN"),
            ("GET", "/nothing", 404, "PATH_UNKNOWN"),
            ("PUT", BOTS, 405, "METHOD_NOT_ALLOWED"),
        ],
    )
    async def test_have_the_one_shape(self, desk, method, path, status, code):
        answer = await desk.client.request(method, path)

        assert (answer.status_code, code_of(answer)) == (status, code)

    @pytest.mark.parametrize(
        "body", [b"", b"{", b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"\\ud800": 1}', b"\xff", b"[" * 9000]
    )
    async def test_are_422_for_what_is_no_settings(self, desk, body):
        answer = await desk.client.post(BOTS, content=body, headers={"Content-Type": "application/json"})

        assert answer.status_code in (400, 422)
        assert answer.json()

    @pytest.mark.parametrize(
        ("account_id", "status"), [("0", 422), (str(2**63), 422), ("-1", 404), ("x", 404), ("1.5", 404)]
    )
    async def test_are_expected_for_what_is_no_id(self, desk, account_id, status):
        answer = await desk.client.get(f"{ACCOUNTS}/{account_id}")

        assert answer.status_code == status

    async def test_name_every_method_a_path_has(self, desk):
        answers = [
            await desk.client.put(BOTS),
            await desk.client.patch(f"{BOTS}/health"),
            await desk.client.put(f"{BOTS}/{'0' * 32}"),
        ]

        assert [(one.status_code, one.headers["allow"]) for one in answers] == [
            (405, "GET, POST"),
            (405, "GET"),
            (405, "DELETE, GET, PATCH"),
        ]


class TestHealth:
    async def test_says_that_the_process_serves(self, desk):
        answer = await desk.client.get("/health")

        assert answer.json() == {
            "status": "healthy",
            "version": "0.0.test",
            "timestamp": "2026-11-21T12:00:00Z",
        }

    async def test_is_503_while_the_process_stops(self, desk):
        async with client_of(replace(desk.ports, is_stopping=lambda: True)) as client:
            answer = await client.get("/health")

        assert (answer.status_code, answer.json()["status"]) == (503, "stopping")

    async def test_names_the_workers_with_valid_leases(self, desk):
        await desk.journal.pool.execute(
            """
            INSERT INTO workers (worker_id, role, lease_epoch, lease_until) VALUES
            ('one', 'trader', 1, now() + interval '1 minute'), ('two', 'trader', 2, now() - interval '1 minute'),
            ('three', 'monitor', 3, now() + interval '1 minute')
            """
        )

        answer = await desk.client.get("/health/detailed")

        health = answer.json()
        assert (answer.status_code, health["status"]) == (200, "healthy")
        assert sorted(worker["role"] for worker in health["workers"]) == ["monitor", "trader"]

    async def test_is_degraded_without_trader_monitor_or_paper_exchange(self, desk):
        desk.paper.is_away = True

        health = (await desk.client.get("/health/detailed")).json()

        assert (health["status"], health["workers"], health["paper"]["status"]) == ("degraded", [], "down")

    @pytest.mark.parametrize("away_pool", AWAY)
    async def test_is_503_in_detail_without_the_database(self, desk, database, away_pool):
        away = replace(desk.ports, health=PostgresHealth(await away_pool(database)))

        async with client_of(away) as client:
            answer, liveness = await client.get("/health/detailed"), await client.get("/health")

        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert answer.json()["database"]["status"] == "down"
        assert liveness.status_code == 200


class TestDocument:
    async def test_tells_every_route_its_answers_and_its_token(self, desk):
        document = (await desk.client.get("/openapi.json")).json()

        for path, item in document["paths"].items():
            for operation in item.values():
                assert operation["summary"]
                is_open = path in (*HEALTH_PATHS, f"{AUTH}/login")
                assert bool(operation.get("security")) is not is_open, path
                if path == "/metrics":  # a token of its own, and no role
                    assert {"401", "503"} <= operation["responses"].keys()
                elif operation.get("security"):
                    assert {"401", "403", "422", "503"} <= operation["responses"].keys()
                    assert operation["x-needed-role"] in set(Role)

    async def test_says_of_every_body_that_it_may_be_no_json(self, desk):
        document = create_api(desk.ports).openapi()

        silent = [
            f"{method} {path}"
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if "requestBody" in operation and "400" not in operation["responses"]
        ]
        assert silent == []

    async def test_takes_in_routes_that_are_served_beside_it(self, desk):
        app = create_api(desk.ports, other_paths={"/webhook/in": {"post": {"summary": "Queue."}}})

        assert ("POST", "/webhook/in") in operations(app)

    async def test_tells_the_ranges_and_no_hash(self, desk):
        document = create_api(desk.ports).openapi()

        new_bot = document["components"]["schemas"]["NewBot"]["properties"]
        assert new_bot["default_leverage"] == {
            "default": 10,
            "maximum": 125,
            "minimum": 1,
            "title": "Default Leverage",
            "type": "integer",
        }
        assert "secret_sha256" not in json.dumps(document)
