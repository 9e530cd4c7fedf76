"""A small notes API in memory, which stands in for the API behind the tools.

Like the real one it knows this server's credential and refuses every other: a token of an MCP client that leaked
through would be answered with 401.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CREDENTIAL = "Bearer local-upstream-token"
SEED = (
    ("Welcome", "Notes live in memory and are gone when the stand-in ends."),
    ("OAuth for MCP", "A client without a token is told where to log in; nothing has to be configured."),
    ("Shopping", "Bread, olives, a new lamp for the desk."),
)


def create_app() -> Starlette:
    """The API with a few notes in it."""
    notes: dict[str, dict[str, str]] = {}

    def put(title: str, text: str) -> dict[str, str]:
        note = {"id": str(len(notes) + 1), "title": title, "text": text}
        notes[note["id"]] = note
        return note

    for title, text in SEED:
        put(title, text)

    async def search(request: Request) -> Response:
        words = request.query_params.get("query", "").lower().split()
        limit = request.query_params.get("limit", "20")
        if not limit.isascii() or not limit.isdigit():
            return JSONResponse({"error": "limit is not a number"}, 400)
        found = [
            note for note in notes.values() if all(word in f"{note['title']} {note['text']}".lower() for word in words)
        ]
        return JSONResponse({"notes": found[: int(limit)]})

    async def get(request: Request) -> Response:
        note = notes.get(request.path_params["id"])
        return JSONResponse(note) if note else JSONResponse({"error": "no such note"}, 404)

    async def add(request: Request) -> Response:
        content = await _object(request)
        title, text = content.get("title"), content.get("text")
        if not isinstance(title, str) or not title or not isinstance(text, str):
            return JSONResponse({"error": "a note has a title and a text"}, 400)
        return JSONResponse(put(title, text), 201)

    routes = [
        Route("/notes", _protected(search), methods=["GET"]),
        Route("/notes", _protected(add), methods=["POST"]),
        Route("/notes/{id}", _protected(get), methods=["GET"]),
    ]
    return Starlette(routes=routes)


def _protected(endpoint: Any) -> Any:
    async def check(request: Request) -> Response:
        if request.headers.get("authorization", CREDENTIAL) != CREDENTIAL:
            return JSONResponse({"error": "unknown credential"}, 401)
        response: Response = await endpoint(request)
        return response

    return check


async def _object(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.body())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
