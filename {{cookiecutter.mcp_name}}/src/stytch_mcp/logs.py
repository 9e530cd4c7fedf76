"""Logging: one JSON line per event in production, readable lines on a terminal; the audit log in JSON everywhere.

Tracebacks are printed without the values of variables, which may be tokens.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog

log = structlog.get_logger("stytch_mcp.logs")


class Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr. When that fails (a full disk), the server goes on, and says so as soon as it can."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._failed = 0

    def emit(self, record: logging.LogRecord) -> None:
        before, self._failed = self._failed, 0
        super().emit(record)
        if before and not self._failed:
            log.error("log", detail=f"{before} lines could not be written, or only late")
        self._failed += before if self._failed else 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in the standard library
        if isinstance(sys.exc_info()[1], OSError):
            self._failed += 1  # the standard library would try to write a traceback there as well
        else:
            super().handleError(record)


def _printable(_: object, __: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What a stranger sends (a claim of a token that nobody vouches for) must not command the terminal."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in entry.items()}


def _escaped(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)


def configure(log_format: Literal["json", "text"]) -> None:
    """Sends structlog and the standard library's loggers to stderr in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            _printable,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    handler = Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    audit = Handler()
    audit.setFormatter(logging.Formatter("%(message)s"))
    auditor = logging.getLogger("stytch_mcp.audit")
    auditor.handlers, auditor.propagate = [audit], False
    auditor.setLevel(logging.INFO)
    # Their INFO lines carry whole URLs and one line per request.
    for noisy in ("httpx", "httpcore", "mcp", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
