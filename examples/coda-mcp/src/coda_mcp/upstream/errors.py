"""What goes wrong between this server and Coda, in a form that a model can act on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

LONGEST_MESSAGE = 500
HINTS = {
    401: "Coda does not accept this server's API token. Its owner has to set a valid CODA_API_TOKEN.",
    403: "The API token may not do this: it is restricted, or its user lacks the role (creating and renaming need a "
    "Doc Maker) or access to the doc.",
    404: "Check the ID with the matching list tool. Something created a moment ago is not visible yet: then try "
    "again in a few seconds.",
    410: "It was deleted. List what is there now.",
    422: "The automation exists but cannot run, for example because it is switched off.",
    429: "Coda counts requests per user and IP address, over all docs and programs. Wait, and write rows together.",
}
KINDS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 410: "gone", 429: "rate_limited"}


class CodaError(Exception):
    """A call failed. Nothing was changed, unless the hint says that this is unknown.

    `kind` is a word for programs, `status` Coda's HTTP status if there was an answer, `message` Coda's own words,
    `retryable` whether the same call may succeed later, `retry_after` seconds until then if known, `hint` the way out.
    """

    def __init__(
        self,
        kind: str,
        hint: str,
        *,
        status: int | None = None,
        message: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(hint)
        self.kind = kind
        self.hint = hint
        self.status = status
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after

    def __str__(self) -> str:
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_dict(self) -> dict[str, Any]:
        """What a client gets to read."""
        fields = {
            "error": self.kind,
            "status_code": self.status,
            "coda_message": self.message,
            "retryable": self.retryable,
            "retry_after": None if self.retry_after is None else round(self.retry_after, 1),
            "hint": self.hint,
        }
        return {name: value for name, value in fields.items() if value is not None}


def refused(hint: str) -> CodaError:
    """The arguments cannot be right; nothing was sent."""
    return CodaError("bad_argument", hint)


def from_response(response: httpx.Response, body: bytes, now: datetime | None = None) -> CodaError:
    """What a status other than 2xx means."""
    status = response.status_code
    passing = status == 429 or status >= 500
    kind = KINDS.get(status, "unavailable" if status >= 500 else "bad_request")
    hint = HINTS.get(status, "Try again in a while; if rows were listed, with a smaller limit." if passing else "")
    return CodaError(
        kind,
        hint or "Change the arguments as Coda's message says.",
        status=status,
        message=_message(body),
        retryable=passing,
        retry_after=retry_after(response, now or datetime.now(UTC)),
    )


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Seconds of `Retry-After` (RFC 9110 section 10.2.3), which is a number or a date. Coda does not document it."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _message(body: bytes) -> str | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    message = str(content.get("message") or content.get("statusMessage") or "")
    issues = content.get("codaDetail")
    if issues:
        message += f" {json.dumps(issues, ensure_ascii=False)}"
    return message[:LONGEST_MESSAGE] or None
