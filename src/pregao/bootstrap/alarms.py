"""What a person should hear of: said here, in the log, and to every channel that is added here later."""

from collections.abc import Sequence

import structlog

from pregao.domain.breaker import Breaker, BreakerState
from pregao.domain.facts import HealthAlarmed
from pregao.domain.upkeep import Severity

log = structlog.get_logger()


def tell_breaker(breaker: Breaker, before: BreakerState, after: BreakerState) -> None:
    """Say that a breaker opened, with what opened it, or closed; each once, by the process whose calls did it."""
    status = breaker.status()
    values = {"name": breaker.name, "scope": str(breaker.scope), "before": str(before)}
    if after is BreakerState.OPEN:
        log.error(
            "breakers.state.opened",
            **values,
            failure_count=status.failure_count,
            timeout_seconds=breaker.config.timeout_seconds,
        )
    elif after is BreakerState.CLOSED:
        log.info("breakers.state.closed", **values)
    else:
        log.info("breakers.state.half_open", **values)


def tell_health(told: Sequence[HealthAlarmed]) -> None:
    """Say what is wrong with the desk as a whole, and what no longer is; each once, by the process that wrote it."""
    for fact in told:
        if not fact.is_on:
            log.info("desk.health.well_again", alarm=fact.name)
        elif fact.severity is Severity.CRITICAL:
            log.critical("desk.health.alarm", alarm=fact.name, **fact.numbers)
        else:
            log.warning("desk.health.alarm", alarm=fact.name, **fact.numbers)
