"""Exchange accounts over HTTP, and what a dump of the database tells about them (F063)."""

import os
from decimal import Decimal

import pytest
import structlog

from pregao.accounts.sealing import SealError
from pregao.domain.facts import PositionChanged
from pregao.domain.order import PositionMode
from pregao.edges.postgres.credentials import PostgresCredentials
from pregao.edges.postgres.journal import desk_id
from pregao.edges.vault.envelope import EnvelopeVault
from tests.builders import held
from tests.edges.http.api.own_desk import ACCOUNTS, code_of

KEY, SECRET = "a-key-of-binance-0123456789", "a-secret-of-binance-9876543210"


def binance(**changes):
    return {"name": "main", "venue": "binance_demo", "api_key": KEY, "secret_key": SECRET, **changes}


async def credentials_under(desk, vault):
    return PostgresCredentials(desk.journal.pool, vault=vault)


class TestOpenAccount:
    async def test_answers_without_the_credentials(self, desk):
        """F063: credentials are write-only."""
        answer = await desk.client.post(ACCOUNTS, json=binance())

        assert answer.status_code == 201
        assert answer.json()["has_credentials"] is True
        assert KEY not in answer.text
        assert SECRET not in answer.text

    async def test_stores_no_usable_key(self, desk):
        """F063: a dump of the database opens nothing."""
        made = await desk.made(ACCOUNTS, **binance())
        dump = await desk.everything_stored()
        stranger = EnvelopeVault(os.urandom(32), desk_id=await desk_id(desk.journal))

        kept = await desk.ports.credentials.find_credentials(made["account_id"])

        assert (kept.key, kept.secret) == (KEY, SECRET)
        assert KEY not in dump
        assert SECRET not in dump
        with pytest.raises(SealError, match="MASTER_KEY_UNKNOWN"):
            await (await credentials_under(desk, stranger)).find_credentials(made["account_id"])

    async def test_does_not_open_what_was_moved_to_another_account(self, desk):
        """F063: each seal is bound to its account."""
        made = [(await desk.made(ACCOUNTS, **binance(name=name)))["account_id"] for name in ("ana", "bruno")]
        await desk.journal.pool.execute(
            """
            UPDATE credentials SET sealed = other.sealed, wrapped_key = other.wrapped_key
            FROM credentials AS other WHERE credentials.account_id = $1 AND other.account_id = $2
            """,
            *made,
        )

        with pytest.raises(SealError, match="SEAL_BROKEN"):
            await desk.ports.credentials.find_credentials(made[0])

    async def test_registers_a_paper_account_with_credentials_of_our_own(self, desk):
        made = await desk.make_account(balance_usdt="2500.5", position_mode="hedge")

        (credentials, balance, mode), *others = desk.paper.opened
        kept = await desk.ports.credentials.find_credentials(made["account_id"])

        assert kept == credentials
        assert (balance, mode, others) == (Decimal("2500.5"), PositionMode.HEDGE, [])

    async def test_leaves_no_account_when_the_paper_exchange_is_away(self, desk):
        desk.paper.is_away = True

        answer = await desk.client.post(ACCOUNTS, json={"name": "main"})
        listed = await desk.client.get(ACCOUNTS)

        assert (answer.status_code, code_of(answer)) == (503, "PAPER_AWAY")
        assert listed.json()["items"] == []

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (binance(api_key=None, secret_key=None), "CREDENTIALS_MISSING"),
            (binance(secret_key=None), "CREDENTIALS_INCOMPLETE"),
            (binance(secret_key=" "), "CREDENTIALS_UNUSABLE"),
            (binance(balance_usdt="5"), "BALANCE_NOT_OURS"),
            ({"name": "main", "balance_usdt": "0"}, "SETTING_OUT_OF_RANGE"),
            ({"name": " "}, "NAME_UNUSABLE"),
        ],
    )
    async def test_refuses_what_cannot_be_opened(self, desk, body, code):
        answer = await desk.client.post(ACCOUNTS, json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)
        assert SECRET not in answer.text

    async def test_never_says_a_secret_back_even_where_it_is_in_the_wrong_place(self, desk):
        with structlog.testing.capture_logs() as logs:
            answer = await desk.client.post(ACCOUNTS, json=binance(api_secret=SECRET, venue=SECRET))

        assert answer.status_code == 422
        assert SECRET not in answer.text
        assert SECRET not in str(logs)


class TestChangeAccount:
    async def test_replaces_the_credentials(self, desk):
        made = await desk.made(ACCOUNTS, **binance())

        answer = await desk.client.patch(
            f"{ACCOUNTS}/{made['account_id']}", json={"api_key": "new-key", "secret_key": "new-secret"}
        )

        kept = await desk.ports.credentials.find_credentials(made["account_id"])
        assert (answer.status_code, kept.key) == (200, "new-key")

    async def test_deactivates_and_activates(self, desk):
        made = await desk.make_account()
        path = f"{ACCOUNTS}/{made['account_id']}"

        deactivated = await desk.client.delete(path)
        activated = await desk.client.patch(path, json={"is_active": True, "name": "second life"})

        assert deactivated.json()["is_active"] is False
        assert (activated.json()["is_active"], activated.json()["name"]) == (True, "second life")

    async def test_does_not_deactivate_under_an_open_position(self, desk):
        """An inactive account is not followed: nobody would see its position close."""
        made = await desk.make_account()
        await desk.journal.pool.execute(
            """
            INSERT INTO positions (position_id, account_id, bot_id, subscription_id, signal_id, symbol,
                position_side, direction, status, leverage, entered_quantity, exited_quantity, entry_notional,
                exit_notional, fees, realized_pnl, created_at, updated_at)
            VALUES (1, $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'BTCUSDT', 'both', 'long',
                'pending', 5, 0, 0, 0, 0, 0, 0, now(), now())
            """,
            made["account_id"],
        )
        await desk.append(PositionChanged(happened_at=desk.now, position=held(account_id=made["account_id"])))

        answer = await desk.client.delete(f"{ACCOUNTS}/{made['account_id']}")

        assert (answer.status_code, code_of(answer)) == (409, "ACCOUNT_TRADING")

    async def test_tells_an_unknown_account(self, desk):
        answers = [
            await desk.client.get(f"{ACCOUNTS}/77"),
            await desk.client.patch(f"{ACCOUNTS}/77", json={"name": "new"}),
            await desk.client.delete(f"{ACCOUNTS}/77"),
        ]

        assert {(answer.status_code, code_of(answer)) for answer in answers} == {(404, "ACCOUNT_UNKNOWN")}


class TestRewrap:
    async def test_puts_every_account_under_the_present_master_key(self, desk):
        """F063: rotation of the master key works, and the former one opens nothing afterwards."""
        ids = [(await desk.made(ACCOUNTS, **binance(name=name)))["account_id"] for name in ("ana", "bruno")]
        desk_uuid, new_key = await desk_id(desk.journal), os.urandom(32)
        both = EnvelopeVault(new_key, desk_id=desk_uuid, former_keys=[desk.master_key])

        rewrapped = [await (await credentials_under(desk, both)).rewrap() for _ in range(2)]

        alone = await credentials_under(desk, EnvelopeVault(new_key, desk_id=desk_uuid))
        assert rewrapped == [2, 0]
        assert [(await alone.find_credentials(one)).secret for one in ids] == [SECRET, SECRET]
        with pytest.raises(SealError):
            await desk.ports.credentials.find_credentials(ids[0])

    async def test_changes_none_when_one_cannot_be_opened(self, desk):
        made = await desk.made(ACCOUNTS, **binance())
        await desk.made(ACCOUNTS, **binance(name="broken"))
        await desk.journal.pool.execute(
            "UPDATE credentials SET wrapped_key = '\\x00' WHERE account_id <> $1", made["account_id"]
        )
        both = EnvelopeVault(
            os.urandom(32), desk_id=await desk_id(desk.journal), former_keys=[desk.master_key]
        )

        with pytest.raises(SealError):
            await (await credentials_under(desk, both)).rewrap()

        assert (await desk.ports.credentials.find_credentials(made["account_id"])).key == KEY

    async def test_is_asked_for_over_http(self, desk):
        await desk.made(ACCOUNTS, **binance())

        answer = await desk.client.post(f"{ACCOUNTS}/rewrap")

        assert answer.json() == {"rewrapped": 0, "master_key": desk.ports.vault.master_key}

    async def test_refuses_what_was_sealed_under_a_key_that_is_forgotten_now(self, desk):
        """F063: stored, it could be opened by nobody."""
        made = await desk.made(ACCOUNTS, **binance())
        await desk.journal.pool.execute(
            "INSERT INTO retired_master_keys (master_key) VALUES ($1)", desk.ports.vault.master_key
        )

        answers = [
            await desk.client.post(ACCOUNTS, json=binance(name="late")),
            await desk.client.patch(
                f"{ACCOUNTS}/{made['account_id']}", json={"api_key": "new-key", "secret_key": "new"}
            ),
            await desk.client.post(f"{ACCOUNTS}/rewrap"),
        ]

        assert [(answer.status_code, code_of(answer)) for answer in answers] == [
            (503, "MASTER_KEY_RETIRED")
        ] * 3
        assert {answer.headers["retry-after"] for answer in answers} == {"1"}
        assert [one["name"] for one in (await desk.client.get(ACCOUNTS)).json()["items"]] == [made["name"]]
        assert (await desk.ports.credentials.find_credentials(made["account_id"])).key == KEY


HOOK = "http://127.0.0.1:9/hook/s3cr3t"  # own_desk allows this host by name


def webhook(**destination):
    return {"name": "out", "venue": "webhook", "destination": {"url": HOOK, **destination}}


class TestDestinations:
    async def test_shows_the_host_and_keeps_the_url_sealed(self, desk):
        made = await desk.made(
            ACCOUNTS, **webhook(timeout_seconds=7, honours_idempotency=True, body="traderspost")
        )
        account = f"{ACCOUNTS}/{made['account_id']}"

        changed = await desk.client.patch(account, json={"destination": {"timeout_seconds": 9}})
        moved = await desk.client.patch(account, json={"destination": {"url": f"{HOOK}/second"}})

        kept = await desk.ports.credentials.find_credentials(made["account_id"])
        assert made["destination"] == {
            "host": "127.0.0.1", "timeout_seconds": 7, "honours_idempotency": True, "body": "traderspost",
        }  # fmt: skip
        assert changed.json()["destination"] == {**made["destination"], "timeout_seconds": 9}
        assert moved.json()["destination"] == changed.json()["destination"]
        assert kept.secret == f"{HOOK}/second"
        assert "s3cr3t" not in await desk.everything_stored() + moved.text

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"name": "out", "venue": "webhook"}, "DESTINATION_MISSING"),
            ({"name": "out", "destination": {"url": HOOK}}, "DESTINATION_NOT_HERE"),
            ({**binance(venue="webhook"), "destination": {"url": HOOK}}, "CREDENTIALS_NOT_HERE"),
            (webhook(timeout_seconds=61), "SETTING_OUT_OF_RANGE"),
            (webhook(timeout_seconds=0), "SETTING_OUT_OF_RANGE"),
            (webhook(url="http://10.0.0.1/s3cr3t"), "DESTINATION_FORBIDDEN"),
            (webhook(url="ftp://127.0.0.1/s3cr3t"), "DESTINATION_URL_UNUSABLE"),
        ],
    )
    async def test_refuses_what_cannot_be_posted_to(self, desk, body, code):
        answer = await desk.client.post(ACCOUNTS, json=body)

        assert (answer.status_code, code_of(answer)) == (422, code)
        assert "s3cr3t" not in answer.text
        assert (await desk.client.get(ACCOUNTS)).json()["items"] == []

    async def test_an_exchanges_account_has_none_to_change(self, desk):
        made = await desk.made(ACCOUNTS, **binance())

        answer = await desk.client.patch(
            f"{ACCOUNTS}/{made['account_id']}", json={"destination": {"timeout_seconds": 9}}
        )

        assert (answer.status_code, code_of(answer)) == (422, "DESTINATION_NOT_HERE")
