"""What pages say of codes in the reader's language: alerts, notices, and mistakes that take the place of a page."""

from pregao.domain.alert import AlertLevel
from pregao.domain.facts import AlertRaised
from tests.builders import NOON, alert

PORTUGUESE = {"Accept-Language": "pt-BR"}
RAISED = alert(
    title="trader-1 ended without a word",
    text="Nobody else does its work.",
    level=AlertLevel.CRITICAL,
    code="WORKER_DIED_ALONE",
    about="trader-1",
    numbers={"role": "trader"},
)


class TestMeaning:
    async def test_is_said_in_the_readers_language_with_the_values_beside_it(self, admin):
        asked = {"code": "SESSION_UNKNOWN", "told": "session=7. There is no such session."}

        told = [
            (await admin.get("/console/meaning", params=asked, headers={"Accept-Language": tag})).text
            for tag in ("pt-BR", "en")
        ]

        assert told == ["Você não tem tal sessão, ou ela terminou. session 7", asked["told"]]

    async def test_of_a_code_nobody_knows_the_words_stand(self, admin):
        asked = {"code": "-2019", "told": "<b>Margin is insufficient.</b>"}

        answer = await admin.get("/console/meaning", params=asked, headers=PORTUGUESE)

        assert (answer.text, answer.headers["Content-Type"]) == (asked["told"], "text/plain; charset=utf-8")

    async def test_is_for_who_has_come_in(self, browser):
        answer = await browser.get("/console/meaning", params={"code": "SESSION_UNKNOWN"})

        assert answer.status_code == 303


class TestAlerts:
    async def test_are_said_in_the_readers_language(self, desk, admin):
        await desk.append(AlertRaised(happened_at=NOON, alert=RAISED))

        for path in ("/console/alerts", "/admin"):
            ours = (await admin.get(path, headers=PORTUGUESE)).text
            english = (await admin.get(path)).text

            assert "trader-1: O processo terminou sem avisar, e nenhum outro faz o seu trabalho." in ours
            assert RAISED.title not in ours
            assert RAISED.title in english

    async def test_keep_their_code_for_other_programs(self, desk, admin):
        await desk.append(AlertRaised(happened_at=NOON, alert=RAISED))

        [shown] = (await admin.get("/api/v1/alerts")).json()["items"]

        assert (shown["code"], shown["about"], shown["title"]) == (RAISED.code, RAISED.about, RAISED.title)
