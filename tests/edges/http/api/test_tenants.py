"""
F064: user A cannot see or change anything of user B, by any path or id.

The document of the API is walked: whatever it offers is asked as A with the ids of B. A path, a parameter or a body that
this page does not know fails, so that nothing new is left out.
"""

import json
import re
from dataclasses import dataclass
from uuid import UUID

import pytest

from pregao.domain.alert import Mute
from pregao.domain.bot import SymbolSettings
from pregao.domain.facts import (
    AccountConfigured,
    AlertRaised,
    AlertsMuted,
    BotConfigured,
    ChannelConfigured,
    ForeignCancelAsked,
    LabRunAsked,
    SignalPlanned,
    StrategyDeployed,
    SubscriptionConfigured,
)
from pregao.domain.lab import Contender, LabKind, LabRequest
from pregao.domain.trading_state import scope_of_account
from pregao.domain.user import Role
from pregao.edges.http.answers import intake_openapi
from pregao.edges.http.api import create_api
from pregao.signals.own import close_now
from tests.builders import (
    BOT_ID,
    account,
    alert,
    arrival,
    bot,
    channel,
    deployment,
    flatten_started,
    instruction,
    subscription,
)
from tests.edges.http.api.own_desk import (
    ACCOUNTS,
    AUTH,
    PASSWORD,
    SUBSCRIPTIONS,
    USERS,
    Person,
    code_of,
    own_desk,
)
from tests.edges.http.api.test_foreign_orders import resting
from tests.edges.http.api.test_receipts import (
    SIGNAL_ID,
    after,
    approved,
    denied,
    planned,
)
from tests.fresh_database import fresh_database

OPEN = {
    "/health",
    "/health/ready",
    "/health/detailed",
    "/api/v1/bots/health",
    "/api/v1/auth/login",
    "/webhook/in",  # these two take the bot's secret
    "/api/v1/bots/webhook/master/{webhook_path}",
}
SCRAPED = "/metrics"  # takes the scraper's own token
DESKS_PARAMETERS = {"bot_id", "deployment_id"}
"""Ids in paths that are nobody's own: bots, and the strategies that feed them, are the desk's."""
DESKS_FIELDS = {"bot_id"}
"""The same in bodies and queries."""
OF_THE_MARKET = re.compile(r"/api/(indicators|signals|patterns|backtest|ml/predict)/{symbol}")
"""Paths whose symbol is a market's, whoever trades it; and there are no candles here."""
NEEDED_QUERIES = {
    "get_position": {"direction": "long", "capital": 1000, "entry_price": 100, "stop_price": 99},
    "get_drawdown": {"peak": 100, "current": 90},
    "get_signals_of_several": {"symbols": "BTCUSDT", "timeframe": "1h"},
    "get_prediction": {"symbol": "BTCUSDT", "timeframe": "1h"},
}
"""Questions that are asked of nothing stored; they want to know what about."""
FILELESS = {
    "get_lab_file": "LAB_FILE_UNKNOWN",
    "get_prediction": "MODEL_UNKNOWN",
    "get_training": "LAB_RUN_UNKNOWN",
}
NOT_BEGUN = {"get_comparison"}  # the deployment has judged no candle, and says so
"""What is kept in files, and none was computed here."""
ENDLESS = {"get_events"}
"""Answers that go on until somebody leaves; whose facts are in them, the tests of what is told live look at."""
OWN_BOT = UUID("0b0b0b0b-0000-7000-8000-000000000001")
OWN_SIGNAL = UUID("0b0b0b0b-0000-7000-8000-000000000002")
OWN_SUBSCRIPTION = UUID("0b0b0b0b-0000-7000-8000-000000000003")
OWN_CLOSE = UUID("0b0b0b0b-0000-7000-8000-000000000004")
DESKS_IDS = {"bot_id": str(OWN_BOT), "deployment_id": str(deployment().deployment_id)}
ACCOUNT_OF_A, ACCOUNT_OF_B = 111_222_333, 987_654_321
NEVER = {
    "account_id": "555666777",
    "channel_id": "555666779",
    "operation_id": "555666778",
    "position_id": "555666778",
    "symbol": "NEVERUSDT",
}
"""Ids that never were; the others are UUIDs."""


@dataclass
class Tenant:
    """A user with one of everything."""

    person: Person
    ids: dict[str, str]
    words: list[str]

    @property
    def marks(self) -> list[str]:
        """What must never show up in what others are answered."""
        return [*(one for name, one in self.ids.items() if name not in ("symbol", "name")), *self.words]


async def tenant(desk, name: str, *, account_id: int, subscription_id: UUID, symbol: str) -> Tenant:
    """Enroll a trader with an account that follows the bot, and with an order and a position there."""
    person = await desk.enroll(name)
    token = await person.made(f"{AUTH}/tokens", name=f"{name}-token")
    (session,) = (await person.client.get(f"{AUTH}/sessions")).json()["items"]
    # A session and a token to end: with those of the person one goes on asking.
    spare = (await desk.log_in(person.email)).json()
    own = account(account_id, name=f"{name}-account", user_id=UUID(person.user_id))
    follows = subscription(
        account_id, subscription_id=subscription_id, symbols=(SymbolSettings(symbol=symbol, leverage=3),)
    )
    await desk.append(
        AccountConfigured(happened_at=after(0), account=own),
        SubscriptionConfigured(happened_at=after(0), subscription=follows),
        planned(
            account_id,
            order_id=f"p{name}",
            client_order_id=f"p{name}1",
            subscription_id=subscription_id,
            position_id=account_id + 1,
        ),
    )
    told = alert(account_id + 4, user_id=own.user_id)
    reached = channel(account_id + 2, user_id=own.user_id, name=f"{name}-channel")
    quiet = Mute(
        mute_id=UUID(int=account_id + 3), user_id=own.user_id, kind=None, level_max=told.level,
        until=after(3_600_000), reason="", muted_by=name,
    )  # fmt: skip
    await desk.append(
        AlertRaised(happened_at=after(0), alert=told),
        ChannelConfigured(happened_at=after(0), channel=reached),
        AlertsMuted(happened_at=after(0), mute=quiet),
    )
    tried = LabRunAsked(
        happened_at=after(0), run_id=UUID(int=account_id + 5), kind=LabKind.RUN, symbol="BTCUSDT", timeframe="1h",
        request=LabRequest(contenders=(Contender(strategy="ema_cross"),)), user_id=own.user_id, asked_by=name,
    )  # fmt: skip
    taken_back = ForeignCancelAsked(
        happened_at=after(0), cancel_id=UUID(int=account_id + 6), account_id=account_id,
        order=resting(client_order_id=f"{name}-by-hand"), reason="", asked_by=name, user_id=own.user_id,
        source_address="",
    )  # fmt: skip
    await desk.append(tried, taken_back)
    selling_out = flatten_started(scope_of_account(account_id), flatten_id=UUID(int=account_id))
    await desk.append(selling_out)
    ids = {
        "flatten_id": str(selling_out.flatten_id),
        "account_id": str(account_id),
        "operation_id": str(account_id + 1),
        "position_id": str(account_id + 1),
        "subscription_id": str(subscription_id),
        "user_id": person.user_id,
        "session_id": spare["session_id"],
        "token_id": token["token_id"],
        "signal_id": str(SIGNAL_ID),
        "symbol": symbol,
        "alert_id": str(told.alert_id),
        "channel_id": str(reached.channel_id),
        "mute_id": str(quiet.mute_id),
        "run_id": str(tried.run_id),
        "task_id": str(tried.run_id),
        "cancel_id": str(taken_back.cancel_id),
        "name": "report",
    }
    words = [f"p{name}", str(account_id + 1), f"{name}-account", f"{name}@", session["session_id"]]
    return Tenant(person, ids, words)


@pytest.fixture
async def tenants(desk):
    """Ana and Bruno follow one bot and traded one signal; a second bot and its signal are Bruno's alone to follow."""
    await desk.append(*approved(accounts=2, orders=4))
    await desk.append(planned(1), denied(2))  # two accounts of the desk's own
    ana = await tenant(
        desk, "ana", account_id=ACCOUNT_OF_A, subscription_id=UUID(int=0xA0A), symbol="LTCUSDT"
    )
    bruno = await tenant(
        desk, "bruno", account_id=ACCOUNT_OF_B, subscription_id=UUID(int=0xB0B << 64), symbol="XRPUSDT"
    )
    await desk.append(
        BotConfigured(happened_at=after(0), bot=bot(bot_id=OWN_BOT, webhook_path="a-bot-of-another-kind")),
        SubscriptionConfigured(
            happened_at=after(0),
            subscription=subscription(ACCOUNT_OF_B, subscription_id=OWN_SUBSCRIPTION, bot_id=OWN_BOT),
        ),
        *arrival(instruction(), signal_id=OWN_SIGNAL, bot_id=OWN_BOT),
        SignalPlanned(happened_at=after(4), signal_id=OWN_SIGNAL, bot_id=OWN_BOT, accounts=1, orders=0),
    )
    await desk.append(StrategyDeployed(happened_at=after(0), deployment=deployment()))
    # Bruno has what he holds of the common bot closed: that signal is meant for him.
    await desk.append(
        *close_now(
            signal_id=OWN_CLOSE,
            bot_id=BOT_ID,
            subscription_id=UUID(bruno.ids["subscription_id"]),
            now=after(9),
        )
    )
    bruno.ids["signal_id"] = str(OWN_SIGNAL)
    bruno.words += [str(OWN_SUBSCRIPTION), str(OWN_CLOSE)]
    return ana, bruno


def bodies(whose: Tenant) -> dict[str, dict]:
    """Give for every operation that takes a body one that names somebody's things."""
    account_id = int(whose.ids["account_id"])
    looked_at = {"symbol": "BTCUSDT", "capital": 1000, "stop_price": 99, "account_id": account_id}
    by_hand = {**looked_at, "wait_seconds": 0}
    return {
        "post_password": {"current": PASSWORD, "new": "another good password"},
        "post_second_factor": {"password": PASSWORD},
        "post_confirm": {"code": "123456"},
        "post_recovery_codes": {"password": PASSWORD, "code": "123456"},
        "post_off": {"password": PASSWORD, "code": "123456"},
        "post_token": {"name": "mine"},
        "post_account": {"name": "mine", "user_id": whose.ids["user_id"]},
        "patch_account": {"name": "renamed", "is_main": True},
        "post_preflight": {"fix": True},
        "post_subscription": {"bot_id": str(OWN_BOT), "account_id": account_id},
        "post_subscriptions": {
            "bot_id": str(OWN_BOT),
            "account_ids": [account_id],
            "use_same_config": False,
            "individual_configs": [{"account_id": account_id}],
        },
        "patch_subscription": {"custom_leverage": 2},
        "check_new_subscription": {"bot_id": str(OWN_BOT), "account_id": account_id},
        "check_subscription_changes": {"custom_leverage": 2},
        "post_own_symbol": {"symbol": "DOGEUSDT", "leverage": 2},
        "post_trading_state": {
            "level": "account",
            "account_id": account_id,
            "user_id": None,
            "state": "halted",
            "reason": "mine",
        },
        "post_resume": {"level": "account", "account_id": account_id, "user_id": None, "reason": "mine"},
        "close_position": {"reason": "mine"},
        "post_flatten": {
            "level": "user",
            "account_id": None,
            "user_id": whose.ids["user_id"],
            "reason": "mine",
        },
        "preview_flatten": {"level": "account", "account_id": account_id, "user_id": None},
        "stop_one_flatten": {"reason": "mine"},
        "post_kill_switch": {"tenant_id": whose.ids["user_id"], "reason": "mine"},
        "post_alert_test": {"channel": whose.ids["channel_id"]},
        "post_alert_channel": {"name": "mine", "kind": "email", "address": {"to": "nobody@desk.test"}},
        "patch_alert_channel": {"place": 7},
        "post_alert_mute": {"seconds": 60},
        "post_lab_run": {"symbol": "BTCUSDT", "timeframe": "1h", "contenders": [{"strategy": "ema_cross"}]},
        "post_backtest": {"timeframe": "1h"},
        "post_backtest_start": {"timeframe": "1h"},
        "post_prediction": {"symbol": "BTCUSDT", "timeframe": "1h"},
        "post_execution": {"symbol": "BTCUSDT", "timeframe": "1h", "account_id": account_id, "mode": "live"},
        "toggle_symbol": {"symbol": "DOGEUSDT", "is_active": False},
        **at_both_paths("calculate_size", {"capital": 1000, "entry_price": 100, "stop_price": 99}),
        **at_both_paths("create_operation", {**by_hand, "entry_price": 100, "side": "BUY", "execute": True}),
        **at_both_paths("move_operation_stop", {"stop_price": 99, "reason": "mine", "force": True}),
        **at_both_paths("validate_trade", {**looked_at, "entry_price": 100}),
        **at_both_paths("buy_risked", {**by_hand, "mode": "live"}),
        **at_both_paths("sell_risked", {**by_hand, "stop_price": 101, "mode": "live"}),
    }


def at_both_paths(name: str, body: dict) -> dict[str, dict]:
    """Give the body of what answers at the source's own path too."""
    return {name: body, f"{name}_at_source": body}


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the document tells it."""

    method: str
    path: str
    name: str
    role: Role | None
    parameters: tuple[str, ...]
    queries: tuple[str, ...]
    body: dict | None

    @property
    def own_parameters(self) -> list[str]:
        desks = {"symbol"} if OF_THE_MARKET.match(self.path) else DESKS_PARAMETERS
        return [one for one in self.parameters if one not in desks]

    @property
    def is_for_tenants(self) -> bool:
        return self.role in (Role.VIEWER, Role.TRADER)


def operations_of(document: dict) -> list[Operation]:
    found = []
    for path, item in document["paths"].items():
        for method, told in item.items():
            asked = told.get("parameters", [])
            content = told.get("requestBody", {}).get("content", {}).get("application/json")
            found.append(
                Operation(
                    method=method.upper(),
                    path=path,
                    name=told["operationId"],
                    role=Role(told["x-needed-role"]) if "x-needed-role" in told else None,
                    parameters=tuple(re.findall(r"{(\w+)}", path)),
                    queries=tuple(one["name"] for one in asked if one["in"] == "query"),
                    body=content and content["schema"],
                )
            )
    return found


def fields_of(schema, document: dict, seen=()) -> set[str]:
    """Give the names of all fields of a body, nested ones too."""
    if isinstance(schema, list):
        return set().union(*(fields_of(one, document, seen) for one in schema), set())
    if not isinstance(schema, dict):
        return set()
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.rpartition("/")[2]
        inside = {} if name in seen else document["components"]["schemas"][name]
        return fields_of(inside, document, (*seen, name))
    names = set(schema.get("properties", {}))
    return names.union(*(fields_of(one, document, seen) for one in schema.values()), set())


def names_something(field: str) -> bool:
    return re.search(r"_ids?$", field) is not None


def address(operation: Operation, ids: dict[str, str]) -> str:
    assert set(operation.own_parameters) <= ids.keys(), (
        f"{operation.path}: whose id is this? Add it to Tenant.ids."
    )
    market = {"symbol": "BTCUSDT"} if OF_THE_MARKET.match(operation.path) else {}
    return operation.path.format(**{**DESKS_IDS, **ids, **market})


async def ask(client, operation: Operation, ids: dict[str, str], body, **options):
    return await client.request(operation.method, address(operation, ids), json=body, **options)


def without_ids(text: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(value, name)
    return text


async def what_is(desk, whose: Tenant) -> list:
    """Give all that is stored about a tenant, times of use apart."""
    mine, user_id = int(whose.ids["account_id"]), UUID(whose.ids["user_id"])
    pool = desk.journal.pool
    rows = [
        *await pool.fetch("SELECT * FROM accounts WHERE account_id = $1 OR user_id = $2", mine, user_id),
        *await pool.fetch("SELECT * FROM subscriptions WHERE account_id = $1 ORDER BY 1", mine),
        *await pool.fetch("SELECT * FROM orders WHERE account_id = $1", mine),
        *await pool.fetch("SELECT * FROM positions WHERE account_id = $1", mine),
        *await pool.fetch("SELECT * FROM users WHERE user_id = $1", user_id),
        *await pool.fetch("SELECT * FROM trading_states"),
        *await pool.fetch("SELECT * FROM flattens"),
        *await pool.fetch(
            "SELECT user_id, password_hash, second_factor_since FROM passwords WHERE user_id = $1", user_id
        ),
        *await pool.fetch(
            "SELECT session_id, expires_at FROM sessions WHERE user_id = $1 ORDER BY 1", user_id
        ),
        *await pool.fetch("SELECT token_id, revoked_at FROM api_tokens WHERE user_id = $1", user_id),
        *await pool.fetch("SELECT account_id, sealed FROM credentials WHERE account_id = $1", mine),
    ]
    return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
async def document(database_server, database_template) -> dict:
    """Give the document, which is the same for every desk and takes most of a second to write."""
    async with fresh_database(database_server, database_template) as database, own_desk(database) as desk:
        return create_api(desk.ports, other_paths=intake_openapi()).openapi()


class TestTheDocument:
    def test_names_a_role_for_everything_that_is_not_open(self, document):
        """F036: closed by default."""
        assert {one.path for one in operations_of(document) if one.role is None} == {*OPEN, SCRAPED}

    async def test_is_closed_to_whoever_brings_no_token(self, desk, document):
        """F036: nothing below /api answers without a credential."""
        stranger = await desk.coming_with("")
        for operation in operations_of(document):
            if operation.path in OPEN:
                continue
            path = re.sub(r"{\w+}", "1", operation.path)
            answers = [
                await stranger.request(operation.method, path),
                await stranger.request(operation.method, path, headers={"Authorization": "Bearer pgs_x"}),
            ]
            assert [one.status_code for one in answers] == [401, 401], operation.path

    def test_offers_tenants_no_body_that_is_not_tried_here(self, tenants, document):
        tried = bodies(tenants[1])
        taking = {one.name: one for one in operations_of(document) if one.is_for_tenants and one.body}

        assert taking.keys() == tried.keys(), "add a body that names things of B"
        for name, operation in taking.items():
            fields = {one for one in fields_of(operation.body, document) if names_something(one)}
            assert fields - DESKS_FIELDS <= set(re.findall(r'"(\w+)":', json.dumps(tried[name]))), name


def is_empty(answer) -> bool:
    """Say whether somebody is shown nothing: no such thing, an empty list, or figures that count nothing."""
    if answer.status_code == 404:
        return True
    body = answer.json()
    return body["period"]["closed"] == 0 and body["bots"] == [] if "period" in body else body["items"] == []


class TestF064:
    """User A cannot read or change B's objects by id."""

    @pytest.mark.parametrize("role", [Role.TRADER, Role.VIEWER])
    async def test_what_is_bs_is_not_there_for_a(self, desk, tenants, document, role):
        ana, bruno = tenants
        await desk.client.patch(f"{USERS}/{ana.person.user_id}", json={"role": role})
        before = await what_is(desk, bruno)
        never = {**{name: str(UUID(int=2**100 + i)) for i, name in enumerate(bruno.ids)}, **NEVER}
        never["task_id"] = never["run_id"]  # one thing under two names
        tried = 0

        for operation in operations_of(document):
            if not operation.is_for_tenants or not operation.own_parameters:
                continue
            body = bodies(bruno).get(operation.name)
            answer = await ask(ana.person.client, operation, bruno.ids, body)
            nobodys = await ask(ana.person.client, operation, never, body)

            if role.includes(operation.role):
                assert answer.status_code == 404, f"{operation}: {answer.text}"
                same = without_ids(answer.text, bruno.ids) == without_ids(nobodys.text, never)
                assert same, f"{operation}: {answer.text} tells more than {nobodys.text}"
            else:
                assert (answer.status_code, code_of(answer)) == (403, "ROLE_FORBIDDEN"), operation
            tried += 1

        assert tried >= 10
        assert await what_is(desk, bruno) == before

    async def test_b_himself_reaches_all_of_it(self, desk, tenants, document):
        """Else the test above would be content with requests that are wrong for everybody."""
        _, bruno = tenants
        order = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        own = [one for one in operations_of(document) if one.is_for_tenants and one.own_parameters]

        for operation in sorted(own, key=lambda one: order.index(one.method)):
            answer = await ask(bruno.person.client, operation, bruno.ids, bodies(bruno).get(operation.name))

            if operation.name in FILELESS:
                assert code_of(answer) == FILELESS[operation.name]
                continue
            assert answer.status_code in (200, 201, 202, 409), f"{operation}: {answer.text}"

    async def test_bs_things_named_in_a_body_are_not_there_for_a(self, desk, tenants, document):
        ana, bruno = tenants
        before = await what_is(desk, bruno)
        for operation in operations_of(document):
            fields = {
                one for one in fields_of(operation.body, document) if names_something(one)
            } - DESKS_FIELDS
            if not operation.is_for_tenants or not fields:
                continue

            answer = await ask(ana.person.client, operation, ana.ids, bodies(bruno)[operation.name])

            assert answer.status_code in (403, 404), f"{operation}: {answer.text}"
        assert await what_is(desk, bruno) == before

    @pytest.mark.parametrize("role", [Role.TRADER, Role.VIEWER])
    async def test_nothing_of_b_shows_up_in_what_a_may_read(self, desk, tenants, document, role):
        ana, bruno = tenants
        await desk.client.patch(f"{USERS}/{ana.person.user_id}", json={"role": role})
        seen = ""

        for operation in operations_of(document):
            if operation.method != "GET" or not operation.is_for_tenants or operation.name in ENDLESS:
                continue
            of_a_market = {"timeframe": "1h"} if OF_THE_MARKET.match(operation.path) else {}
            needed = NEEDED_QUERIES.get(operation.name, of_a_market)
            answer = await ask(ana.person.client, operation, ana.ids, None, params=needed)
            is_without = operation.name in FILELESS or OF_THE_MARKET.match(operation.path)
            expected = 409 if operation.name in NOT_BEGUN else 404 if is_without else 200
            assert answer.status_code == expected, f"{operation}: {answer.text}"
            seen += answer.text
            for query in (one for one in operation.queries if names_something(one)):
                wanted = str(OWN_BOT) if query in DESKS_FIELDS else bruno.ids[query]
                filtered = await ask(ana.person.client, operation, ana.ids, None, params={query: wanted})
                assert is_empty(filtered), f"{operation}?{query}"

        assert [mark for mark in bruno.marks if mark in seen] == []
        own_marks = [mark for mark in ana.marks if mark not in seen]
        assert own_marks == [], "else the test looks at nothing"

    async def test_what_is_for_staff_is_closed_to_a(self, desk, tenants, document):
        ana, bruno = tenants
        before = await what_is(desk, bruno)
        closed = [one for one in operations_of(document) if one.role in (Role.OPERATOR, Role.ADMIN)]

        for operation in closed:
            ids = {**DESKS_IDS, "strategy_id": str(UUID(int=701)), **bruno.ids}
            path = operation.path.format(**{**dict.fromkeys(operation.parameters, "1"), **ids})
            answer = await ana.person.client.request(operation.method, path, json={})

            assert (answer.status_code, code_of(answer)) == (403, "ROLE_FORBIDDEN"), operation
        assert await what_is(desk, bruno) == before

    async def test_counts_count_own_rows_only(self, desk, tenants):
        ana, bruno = tenants

        for whose in (ana, bruno):
            receipt = (await whose.person.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()
            (signal, *_) = [
                one
                for one in (await whose.person.client.get("/api/v1/signals")).json()["items"]
                if one["signal_id"] == str(SIGNAL_ID)
            ]
            assert [row["account_id"] for row in receipt["rows"]] == [int(whose.ids["account_id"])]
            assert (signal["accounts"], signal["orders"], signal["orders_live"]) == (1, 1, 1)
        everything = (await desk.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()
        assert len(everything["rows"]) == 4

    async def test_an_own_receipt_is_complete_when_the_own_rows_are(self, desk, tenants):
        """How long others take is not told, nor waited for."""
        ana, bruno = tenants
        await desk.journal.pool.execute("UPDATE orders SET status = 'filled' WHERE order_id = 'pana'")

        receipts = [
            (await one.person.client.get(f"/api/v1/signals/{SIGNAL_ID}/receipt")).json()
            for one in (ana, bruno)
        ]
        settled = (await ana.person.client.get("/api/v1/signals", params={"status": "settled"})).json()[
            "items"
        ]

        assert [(one["is_complete"], one["status"]) for one in receipts] == [
            (True, "settled"),
            (False, "planned"),
        ]
        assert [one["signal_id"] for one in settled] == [str(SIGNAL_ID)]

    async def test_operators_reach_everybodys(self, desk, tenants):
        _, bruno = tenants
        olga = await desk.enroll("olga", "operator")

        answers = [
            await olga.client.get(f"{ACCOUNTS}/{ACCOUNT_OF_B}"),
            await olga.client.patch(
                f"{SUBSCRIPTIONS}/{bruno.ids['subscription_id']}", json={"custom_leverage": 2}
            ),
        ]

        assert [one.status_code for one in answers] == [200, 200]
        assert answers[0].json()["user_id"] == bruno.person.user_id


class TestOwnAccounts:
    async def test_are_their_openers(self, desk):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")

        made = await ana.made(ACCOUNTS, name="main", is_main=True)
        second = await ana.made(ACCOUNTS, name="second", is_main=True)

        listed = (await ana.client.get(ACCOUNTS)).json()["items"]
        assert made["user_id"] == ana.user_id
        assert [(one["account_id"], one["is_main"]) for one in listed] == [
            (made["account_id"], False),
            (second["account_id"], True),
        ]
        assert (await bruno.client.get(ACCOUNTS)).json()["items"] == []

    async def test_are_opened_for_a_user_by_staff_only(self, desk):
        ana, bruno = await desk.enroll("ana"), await desk.enroll("bruno")

        by_staff = await desk.made(ACCOUNTS, name="for Ana", user_id=ana.user_id)
        by_bruno = await bruno.client.post(ACCOUNTS, json={"name": "for Ana", "user_id": ana.user_id})
        for_nobody = await desk.client.post(ACCOUNTS, json={"name": "x", "user_id": "0" * 32})

        assert (await ana.client.get(f"{ACCOUNTS}/{by_staff['account_id']}")).status_code == 200
        assert (by_bruno.status_code, code_of(by_bruno)) == (403, "ROLE_FORBIDDEN")
        assert (for_nobody.status_code, code_of(for_nobody)) == (404, "USER_UNKNOWN")

    async def test_follow_bots_whose_address_is_not_told(self, desk):
        ana = await desk.enroll("ana")
        made = await desk.make_bot("EMA cross")
        own = await ana.made(ACCOUNTS, name="main")

        available = await ana.client.get(f"{SUBSCRIPTIONS}/available-bots")
        follows = await ana.made(SUBSCRIPTIONS, bot_id=made["bot_id"], account_id=own["account_id"])

        assert made["webhook_path"] not in available.text
        assert [one["bot_id"] for one in available.json()["items"]] == [made["bot_id"]]
        assert follows["account_id"] == own["account_id"]

    async def test_see_declined_signals_of_bots_they_follow_but_none_from_before(self, desk):
        ana = await desk.enroll("ana")
        await desk.append(BotConfigured(happened_at=desk.now, bot=bot()))
        await desk.append(*arrival(instruction(), signal_id=UUID(int=1), now=desk.now))
        desk.later(minutes=1)
        own = await ana.made(ACCOUNTS, name="main")
        await ana.made(SUBSCRIPTIONS, bot_id=str(BOT_ID), account_id=own["account_id"])
        desk.later(minutes=1)
        await desk.append(*arrival(instruction(), signal_id=UUID(int=2), now=desk.now))

        seen = (await ana.client.get("/api/v1/signals")).json()["items"]

        assert [(one["signal_id"], one["accounts"]) for one in seen] == [(str(UUID(int=2)), None)]
