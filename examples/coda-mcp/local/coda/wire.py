"""Answers, refusals and the bytes around them, in Coda's shape."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/apis/v1"
MAX_BODY_BYTES = 2 * 1024 * 1024
PHRASES = {422: "Unprocessable Entity"}


class ApiError(Exception):
    """A refusal. `issues` are what a request's schema found; `why` is for the log only."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        issues: list[dict[str, Any]] | None = None,
        why: str | None = None,
    ) -> None:
        self.status = status
        self.message = message or phrase(status)
        self.issues = issues
        self.why = why or self.message
        super().__init__(self.why)


def phrase(status: int) -> str:
    return PHRASES.get(status) or HTTPStatus(status).phrase


def not_found(kind: str) -> ApiError:
    """404 in the words seen for rows and pages; UNCONFIRMED for tables, columns, formulas and controls."""
    return ApiError(404, f"Could not find a {kind} with the specified ID or name.")


def bad_request(why: str, message: str | None = None) -> ApiError:
    """400; `why` goes to the log, the caller gets `message` or, as from Coda, no more than "Bad Request"."""
    return ApiError(400, message, why=why)


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON with the headers that Coda sends."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(
        body,
        status,
        {
            "content-type": "application/json; charset=utf-8",
            "cache-control": "no-store",
            "etag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
            "x-coda-pod": "local",
            "x-coda-server": "api",
            **(headers or {}),
        },
    )


async def refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    request.scope["coda.why"] = error.why
    content: dict[str, Any] = {
        "statusCode": error.status,
        "statusMessage": phrase(error.status),
        "message": error.message,
    }
    if error.issues is not None:
        content |= {"codaType": "RequestSchemaValidationFailed", "codaDetail": {"issues": error.issues}}
    headers = {"retry-after": request.scope["coda.retry_after"]} if "coda.retry_after" in request.scope else {}
    return answer(content, error.status, headers)


async def refuse_http(request: Request, error: Exception) -> Response:
    """Paths and methods that do not exist: 404 for both."""
    assert isinstance(error, HTTPException)
    return await refuse(request, ApiError(404 if error.status_code == 405 else error.status_code))


async def refuse_unexpected(request: Request, _error: Exception) -> Response:
    return await refuse(request, ApiError(500))


async def read_body(request: Request) -> bytes:
    """The body, of at most 2 MB; Coda answers a larger one with 400 and not with 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(400, "request entity too large")
    return bytes(body)


class RawPath:
    """Match routes on the path as it was sent, so that an encoded slash stays within its segment."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("latin-1").partition("?")[0]}
        await self.app(scope, receive, send)
