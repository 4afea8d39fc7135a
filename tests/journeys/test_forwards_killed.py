"""A trader killed with kill -9 anywhere on the way to a destination: every signal arrives there once (F014)."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys

import httpx
import pytest

from pregao import rehearsal
from pregao.bootstrap.web import serve_web
from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import told
from tests.edges.exchanges.scripted_destination import scripted_destination
from tests.journeys.test_features_a_forwarding import ORDER_OF_STATUS, events, forwarding_bot, position
from tests.journeys.whole_desk import START_SECONDS_MAX, TOKEN, WholeDesk
from tests.ports import free_port

ENDED_SECONDS_MAX = 60.0
SETTLED_SECONDS_MAX = 60.0
AGE_SECONDS_MAX = 600.0  # four starts of a process take longer than a minute on a busy machine

pytestmark = pytest.mark.extra


class Traders:
    """Real processes, one after the other, each with the trap it falls into."""

    def __init__(self, settings, shared):
        self._settings = settings
        self._shared = shared
        self._process = None

    async def start(self):
        told = self._settings
        environment = {
            **os.environ,
            "DATABASE_URL": told.database_dsn.reveal(),
            "PREGAO_STATE_DIR": str(told.state_dir),
            "PREGAO_ADMIN_TOKEN": TOKEN,
            "PREGAO_MASTER_KEY": told.master_key.reveal(),
            "PREGAO_PAPER_URL": told.paper_url,
            "PREGAO_DESTINATIONS_ALLOWED": "127.0.0.1",
            rehearsal.FOLDER: str(self._shared),
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pregao",
            "serve",
            "trader",
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def killed_at(self, point):
        """Wait until the process was killed where the trap is."""
        async with asyncio.timeout(ENDED_SECONDS_MAX):
            assert await self._process.wait() == -signal.SIGKILL
        assert rehearsal.find_sprung(self._shared, point) == self._process.pid

    def trap(self, point):
        rehearsal.set_trap(self._shared, point, act=rehearsal.KILL)
        return point

    async def stop(self):
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def desk(database, tmp_path):
    """Give the desk's web process alone, on this loop."""
    paper = PaperServer(PaperSettings(still=True))
    await paper.start()
    (tmp_path / rehearsal.MARK).touch()
    settings = told(
        server_port=free_port(),
        database_dsn=database,
        state_dir=tmp_path,
        admin_token=TOKEN,
        demo_secret="demo-secret-for-tests",
        master_key=base64.b64encode(os.urandom(32)).decode(),
        paper_url=paper.url,
        demo=False,
        destinations_allowed=("127.0.0.1",),
        signal_age_seconds_max=AGE_SECONDS_MAX,
    )
    web = asyncio.create_task(serve_web(settings))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    base_url = f"http://127.0.0.1:{settings.server_port}"
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20, verify=False) as client:
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/openapi.json")).status_code == 200:
                        break
                await asyncio.sleep(0.05)
        yield WholeDesk(client, paper, settings)
    web.cancel()
    await asyncio.gather(web, return_exceptions=True)
    await paper.stop()


@pytest.fixture
async def traders(desk, tmp_path):
    shared = tmp_path / "shared"
    rehearsal.prepare(shared)
    traders = Traders(desk.settings, shared)
    yield traders
    await traders.stop()


@pytest.fixture
async def site():
    async with scripted_destination() as site:
        yield site


@pytest.fixture
async def journal(database):
    journal = await open_journal(database, connections_max=1)
    yield journal
    await journal.pool.close()


async def post(desk, bot, ticker, action):
    answer = await desk.post(bot, json.dumps({"ticker": ticker, "action": action}))
    assert answer.status_code < 300, answer.text
    return answer.json()["signal_id"]


async def test_f014_each_signal_arrives_once_whenever_the_trader_dies(desk, traders, site, journal):
    """After the 202, after the approval, before the wire, between the answer and the books."""
    bot, _ = await forwarding_bot(desk, site, "once", honours_idempotency=True)
    strict, _ = await forwarding_bot(desk, site, "doubtful")

    bought = await post(desk, bot, "KILLED", "buy")  # nobody is there to decide
    point = traders.trap("trader.attempts.committed")
    await traders.start()
    await traders.killed_at(point)
    before = len(site.posts)
    point = traders.trap("trader.order.answered")
    await traders.start()
    await traders.killed_at(point)
    answered = len(site.posts)
    await traders.start()
    await desk.receipt(bought, seconds_max=SETTLED_SECONDS_MAX)
    held = await position(journal, "KILLED")

    point = traders.trap("trader.order.leaving")
    sold = await post(desk, bot, "KILLED", "sell")
    await traders.killed_at(point)
    await traders.start()
    await desk.receipt(sold, seconds_max=SETTLED_SECONDS_MAX)

    point = traders.trap("trader.order.answered")
    in_doubt = await post(desk, strict, "DOUBT", "buy")
    await traders.killed_at(point)
    await traders.start()
    doubt = await desk.receipt(in_doubt, seconds_max=SETTLED_SECONDS_MAX)

    assert (before, answered, held) == (0, 1, "open")
    keys = site.keys_of("KILLED")
    assert (len(keys), len(set(keys)), len(set(keys[:2]))) == (3, 2, 1)
    assert [post["signal_id"] for post in site.posts] == [bought, bought, sold, in_doubt]
    assert await position(journal, "KILLED") == "closed"
    for signal_id in (bought, sold):
        assert [one for one, _, _ in await events(journal, signal_id)] == [
            *ORDER_OF_STATUS,
            "forwarded_success",
        ]
    assert (doubt["rows"][0]["code"], await position(journal, "DOUBT")) == ("FORWARD_TIMEOUT", "abandoned")
    assert [one for one, _, _ in await events(journal, in_doubt)] == [*ORDER_OF_STATUS, "forwarded_timeout"]
    assert (await compare_with_journal(journal)).differences == ()
