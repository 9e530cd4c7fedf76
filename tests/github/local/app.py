"""Stands in for GitHub: one repository with one issue, in memory."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

WEB = "https://github.com/octocat/hello"
REPOSITORY = {"full_name": "octocat/hello", "description": "Says hello", "stargazers_count": 3, "html_url": WEB}
ISSUE = {
    "number": 7,
    "title": "It says hello",
    "state": "open",
    "body": "Too loudly.",
    "repository_url": "https://api.github.com/repos/octocat/hello",
}
PATH = "/repos/octocat/hello/issues/7"
# Comments that are taken, while the answer does not say so.
GATEWAY, HALF, GARBLED = "Answer 502.", "Answer by half.", "Answer half JSON."


class Authenticated:
    """Knows this server's credential and refuses every other: the token of an MCP client that leaked would show."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] != "http" or Request(scope).headers.get("authorization") == "Bearer local-upstream-token"
        await (self.app if known else JSONResponse({"message": "Bad credentials"}, 401))(scope, receive, send)


class Half(Response):
    """Announces its whole body and ends before that."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body)[:-9], "more_body": True})


def create_app() -> Starlette:
    """The API, with one comment so far."""
    comments: list[dict[str, Any]] = []

    def put(author: str, body: str) -> dict[str, Any]:
        number = len(comments) + 1
        comments.append({"user": {"login": author}, "body": body, "html_url": f"{WEB}/issues/7#issuecomment-{number}"})
        return comments[-1]

    put("hubot", "Louder than that?")

    def found(item: dict[str, Any], *words: str) -> Any:
        async def search(request: Request) -> Response:
            asked = [word for word in request.query_params["q"].lower().split() if ":" not in word]
            hits = [item] if all(any(word in text.lower() for text in words) for word in asked) else []
            return JSONResponse({"total_count": len(hits), "items": hits})

        return search

    async def issue(_: Request) -> Response:
        return JSONResponse(ISSUE)

    async def listed(_: Request) -> Response:
        return JSONResponse(comments)

    async def add(request: Request) -> Response:
        said = put("octocat", (await request.json())["body"])
        answer = JSONResponse(said, 201)
        if said["body"] == GATEWAY:
            return Response("Bad gateway", 502)
        if said["body"] == HALF:
            return Half(answer.body, 201)
        if said["body"] == GARBLED:
            return Response(bytes(answer.body)[:-9], 201)
        return answer

    return Starlette(
        routes=[
            Route("/search/repositories", found(REPOSITORY, "octocat/hello", "Says hello")),
            Route("/search/issues", found(ISSUE, "It says hello", "Too loudly.")),
            Route(PATH, issue),
            Route(f"{PATH}/comments", listed, methods=["GET"]),
            Route(f"{PATH}/comments", add, methods=["POST"]),
        ],
        middleware=[Middleware(Authenticated)],
    )
