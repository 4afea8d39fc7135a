import pytest

from pregao.domain.clock import to_ms
from pregao.domain.venue import OperatorNeeded, OutcomeUnknown, Refused, RetryLater
from pregao.edges.exchanges.binance.outcomes import unanswered, verdict_on
from pregao.edges.exchanges.wire import Answer, AnswerLost, NotSent
from tests.edges.exchanges.scripted_venue import NOON

NOW_MS = to_ms(NOON)


def answer(status, body, *headers):
    return Answer(status, list(headers), body, NOON, NOON)


def error_of(status, body, *headers):
    return verdict_on(answer(status, body, *headers), now_ms=NOW_MS).error


class TestVerdict:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, b'{"code":-2019,"msg":"Margin is insufficient."}', Refused),
            (401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', OperatorNeeded),
            (400, b'{"code":-4061,"msg":"position side"}', OperatorNeeded),
            (400, b'{"code":-1021,"msg":"outside of the recvWindow"}', RetryLater),
            (400, b'{"code":-5028,"msg":"outside of the ME recvWindow"}', RetryLater),
            (400, b'{"code":-4116,"msg":"ClientOrderId is duplicated."}', OutcomeUnknown),
            (400, b'{"code":-1006,"msg":""}', OutcomeUnknown),
            (408, b'{"code":-1007,"msg":"Timeout"}', OutcomeUnknown),
            (408, b'{"code":-2019,"msg":"Margin is insufficient."}', OutcomeUnknown),
            (408, b"", OutcomeUnknown),
            (503, b'{"code":-1008,"msg":"Request throttled"}', RetryLater),
            (503, b'{"code":-1000,"msg":"Unknown error"}', OutcomeUnknown),
            (503, b"Unknown error, please check your request or try again later.", OutcomeUnknown),
            (503, b'{"msg":"Unknown error, please check your request or try again later."}', OutcomeUnknown),
            (503, b"Service Unavailable.", RetryLater),
            (503, b'{"code":0,"msg":"Service Unavailable."}', RetryLater),
            (503, b"<html><h1>503 Service Unavailable</h1></html>", OutcomeUnknown),
            (500, b"", OutcomeUnknown),
            (502, b"<html>Bad Gateway</html>", OutcomeUnknown),
            (504, b"{", OutcomeUnknown),
            (403, b"<html>Forbidden</html>", RetryLater),
            (400, b"{broken", OutcomeUnknown),
            (400, b'{"msg":"no code"}', OutcomeUnknown),
            (302, b"", OutcomeUnknown),
            (400, b'{"code":-9876,"msg":"never heard of"}', Refused),
            (500, b'{"code":-9876,"msg":"never heard of"}', OutcomeUnknown),
            (408, b'{"code":-9876,"msg":"never heard of"}', OutcomeUnknown),
        ],
    )
    def test_gives_one_of_the_four_kinds(self, status, body, kind):
        assert type(error_of(status, body)) is kind

    def test_waits_as_long_as_told(self):
        error = error_of(429, b'{"code":-1003,"msg":"Too many requests"}', (b"Retry-After", b"17"))

        assert error.retry_after_seconds == 17

    def test_waits_for_the_next_minute_when_the_weight_is_used_up(self):
        error = error_of(429, b'{"code":-1003,"msg":"Too many requests"}')

        assert error.retry_after_seconds == 60

    def test_waits_for_the_end_of_a_ban(self):
        text = f'{{"code":-1003,"msg":"Way too many requests; IP banned until {NOW_MS + 90_000}."}}'

        error = error_of(418, text.encode())

        assert error.retry_after_seconds == 90

    def test_waits_the_shortest_ban_when_nothing_is_told(self):
        assert error_of(418, b"").retry_after_seconds == 120

    def test_keeps_the_venues_code(self):
        assert error_of(400, b'{"code":-2019,"msg":"Margin is insufficient."}').code == "-2019"

    def test_cuts_long_texts(self):
        body = b'{"code":-1100,"msg":"' + b"x" * 5000 + b'"}'

        assert len(str(error_of(400, body))) < 400


class TestUnanswered:
    def test_may_be_tried_again_when_nothing_was_sent(self):
        assert isinstance(unanswered(NotSent("no connection"), what="order"), RetryLater)

    def test_must_be_asked_about_when_the_answer_is_lost(self):
        assert isinstance(unanswered(AnswerLost("late"), what="order"), OutcomeUnknown)
