"""A role's log: structlog and the libraries' own logging, as JSON lines in `<state>/logs/<role>.log`."""

import logging
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pregao import tally
from pregao.edges.processes.lines import rotating_file

MASK = "***"
SECRET_LENGTH_MIN = 6  # a shorter "secret" would blot out half the log
SECRET_KEYS = (
    "secret",
    "password",
    "token",
    "authorization",
    "api_key",
    "signature",
    "master_key",
    "listen_key",
)
SEVERITIES = {
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "fatal": "critical",
}
QUIET = (
    "asyncio",
    "uvicorn.access",
    "aiohttp.access",
    "httpx",
    "alembic",
)  # worth a line when something is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure of this process: what was logged, and what was raised."""

    event: str
    kinds: tuple[type[BaseException], ...]


FAILURES: deque[Failure] = deque(maxlen=100)
"""Of this process, until somebody was told of them."""


class _Masked(logging.Formatter):
    """Leaves every known secret out of the finished line, tracebacks included."""

    def __init__(self, formatter: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._secrets = sorted((s for s in secrets if len(s) >= SECRET_LENGTH_MIN), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self._formatter.format(record)
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line


def configure_logs(role: str, *, log_dir: Path, level: str, secrets: Sequence[str] = ()) -> None:
    """Send everything this process logs to its file; `structlog.get_logger()` is the way to log."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        counted,
        noted,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _mask_keys,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*before, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            lambda _logger, _method, event: {"role": role, **event},
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    file = rotating_file(log_dir / f"{role}.log")
    file.setFormatter(_Masked(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [file]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught


def counted(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Count a line from a warning up: by its event where it is ours, by its logger where it is a library's."""
    severity = SEVERITIES.get(method)
    if severity is not None:
        record = event.get("_record")
        tally.count("deriv_bot_errors_total", event["event"] if record is None else record.name, severity)
    return event


def noted(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Note a failure that is logged with its traceback: somebody is told of it."""
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    record = event.get("_record")
    if record is not None and record.exc_info:
        error = record.exc_info[1]
    if SEVERITIES.get(method) in ("error", "critical") and isinstance(error, BaseException):
        FAILURES.append(Failure(event=str(event["event"]), kinds=_kinds(error)))
    return event


def _kinds(error: BaseException) -> tuple[type[BaseException], ...]:
    if isinstance(error, BaseExceptionGroup):
        return tuple(kind for one in error.exceptions for kind in _kinds(one))
    return (type(error),)


def _mask_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if isinstance(event[key], str) and any(word in key.lower() for word in SECRET_KEYS):
            event[key] = MASK
    return event


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    logging.getLogger("pregao").critical("processes.role.died", exc_info=(kind, error, traceback))
