"""The API behind the tools: its settings and its client.

Every call uses this server's own credential. The token of the MCP client never gets here: the MCP specification
forbids passing it on ("Token Passthrough"), and tools do not even see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote

import anyio
import httpx
import stamina
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from stytch_mcp.observing import observed
from stytch_mcp.protect.origins import origin
from stytch_mcp.settings import Credential, Problem, Settings, missing

from .constants import NAME, PUBLIC_URL, UPSTREAM_AUTH, UPSTREAM_URL

TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3
MOST_BYTES = 4 * 1024 * 1024

ModelT = TypeVar("ModelT", bound=BaseModel)


class UpstreamSettings(Settings):
    """The settings of the runtime, and those of this server."""

    public_url: Annotated[str, AfterValidator(origin)] = Field(
        PUBLIC_URL, description="The origin that clients know. The MCP URL is PUBLIC_URL/mcp."
    )
    upstream_url: Annotated[str, AfterValidator(origin)] = Field(
        UPSTREAM_URL, description="The origin of the API behind the tools."
    )
    upstream_token: Credential | None = Field(None, description="This server's own credential for that API.")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if UPSTREAM_AUTH == "bearer" and self.upstream_token is None:
            yield missing(type(self), "upstream_token")


class Note(BaseModel):
    """A note as the API has it."""

    id: str
    title: str
    text: str


class Notes(BaseModel):
    """A list of notes as the API has it."""

    notes: list[Note]


class Upstream:
    """Client of the notes API. Open it once, share it among requests. Every failure is a ToolError with words."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.url = settings.upstream_url
        headers = {"User-Agent": NAME}
        if settings.upstream_token is not None:
            headers["Authorization"] = f"Bearer {settings.upstream_token.get_secret_value()}"
        self._http = observed(
            httpx.AsyncClient(base_url=settings.upstream_url, headers=headers, timeout=TIMEOUT_SECONDS)
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def search(self, query: str, limit: int) -> list[Note]:
        """Notes that contain all words of the query, best first."""
        return self._read(Notes, await self._get("/notes", query=query, limit=limit)).notes

    async def get(self, note_id: str) -> Note:
        """One note. Raises ToolError when there is none of that id."""
        return self._read(Note, await self._get(f"/notes/{quote(note_id, safe='')}"))

    async def add(self, title: str, text: str) -> Note:
        """Adds a note. Not repeated on failure: it might be there already."""
        return self._read(Note, await self._request("POST", "/notes", json={"title": title, "text": text}))

    def link(self, note: Note) -> str:
        """Where a person finds this note."""
        return f"{self.url}/notes/{quote(note.id, safe='')}"

    async def _get(self, path: str, **query: str | int) -> bytes:
        """Reads are safe to repeat."""
        try:
            async for attempt in stamina.retry_context(on=_Passing, attempts=ATTEMPTS, timeout=TIMEOUT_SECONDS):
                with attempt:
                    return await self._request("GET", path, params=query)
        except _Passing as error:
            raise ToolError(str(error)) from None
        raise AssertionError("retry_context always returns or raises")

    async def _request(self, method: str, path: str, **content: Any) -> bytes:
        body = bytearray()
        again = "Try again later." if method == "GET" else "Whether it was done is unknown: look before you try again."
        try:
            # httpx bounds each step; an answer that trickles in would have no end.
            with anyio.fail_after(TIMEOUT_SECONDS):
                async with self._http.stream(method, path, **content) as response:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MOST_BYTES:
                            raise ToolError("The API behind this server gave more than this server reads.")
        except (httpx.HTTPError, TimeoutError) as error:
            raise _Passing(f"The API behind this server is out of reach ({type(error).__name__}). {again}") from None
        if response.is_success:
            return bytes(body)
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ToolError("The API behind this server refuses its credential. Its owner has to see to it.")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ToolError("There is nothing of that id. Use search to find one.")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise _Passing(f"The API behind this server answered {response.status_code}. {again}")
        raise ToolError(f"The API behind this server did not accept the request ({response.status_code}).")

    def _read(self, model: type[ModelT], body: bytes) -> ModelT:
        try:
            return model.model_validate_json(body)
        except ValidationError:
            raise ToolError("The API behind this server gave an answer that this server does not understand.") from None


class _Passing(ToolError):
    """A failure that may be gone when the call is repeated."""
