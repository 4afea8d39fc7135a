"""What was found out about a webhook's address, as checks: what does not apply there is said, and nothing denies."""

from pregao.accounts.destination_checks import Connected, FoundDestination, Trouble, judge_destination
from pregao.domain.preflight import Check, Light, Result, codes_of, light_of

HOST, ADDRESSES = "hooks.example", ("8.8.8.8",)


def judged(**changes):
    return judge_destination(FoundDestination(host=HOST, **{"addresses": ADDRESSES, **changes}))


def result_of(results, check):
    [found] = [one for one in results if one.check is check]
    return found


class TestJudgeDestination:
    def test_is_ready_where_somebody_listens_at_an_address_that_may_be_posted_to(self):
        results = judged(connected=Connected(milliseconds=12))

        assert light_of(results) is Light.READY
        assert result_of(results, Check.DESTINATION).numbers == {"host": HOST, "addresses": "8.8.8.8"}
        assert result_of(results, Check.VENUE).numbers == {"milliseconds": "12"}

    def test_says_of_every_other_check_that_it_does_not_apply(self):
        results = judged(connected=Connected(milliseconds=12))

        assert {one.check for one in results} == set(Check), "nothing is left unsaid"
        others = [one for one in results if one.check not in (Check.DESTINATION, Check.VENUE)]
        assert {(one.result, one.code) for one in others} == {(Result.INAPPLICABLE, "NOT_AT_A_WEBHOOK")}

    def test_is_blocked_where_nobody_listens(self):
        away = Trouble(code="DESTINATION_AWAY", message="ConnectionRefusedError")

        results = judged(connected=away)

        assert (light_of(results), codes_of(results)) == (Light.BLOCKED, ["DESTINATION_AWAY"])
        assert result_of(results, Check.VENUE).numbers["cause"] == "ConnectionRefusedError"

    def test_is_blocked_and_not_connected_to_where_the_address_is_forbidden(self):
        results = judged(addresses=Trouble(code="DESTINATION_FORBIDDEN", message="It is not public."))

        assert (light_of(results), codes_of(results)) == (Light.BLOCKED, ["DESTINATION_FORBIDDEN"])
        assert result_of(results, Check.VENUE).result is Result.UNKNOWN

    def test_denies_nothing_ahead(self):
        """What is posted is checked in the moment it is: a destination that is back takes the next signal."""
        away = Trouble(code="DESTINATION_AWAY", message="TimeoutError")

        assert not any(one.denies for one in judged(connected=away))
