"""GitHub's API: its settings and its client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import anyio
import httpx
import stamina
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError

from stytch_mcp.observing import observed
from stytch_mcp.protect.origins import origin
from stytch_mcp.settings import Credential, Problem, Settings, missing

from .constants import NAME, PUBLIC_URL, UPSTREAM_URL

ISSUE = re.compile(
    r"(?P<repository>[a-z0-9-]{1,39}/\w[\w.-]{0,99})#(?P<number>[1-9][0-9]{0,9})", re.ASCII | re.IGNORECASE
)
MOST_COMMENTS = 100
TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3
MOST_BYTES = 4 * 1024 * 1024
LIMITED = "GitHub refuses: too many requests, or this server's token has too few rights. Try again later."

T = TypeVar("T")


class UpstreamSettings(Settings):
    """The settings of the runtime, and those of this server."""

    public_url: Annotated[str, AfterValidator(origin)] = Field(
        PUBLIC_URL, description="The origin that clients know. The MCP URL is PUBLIC_URL/mcp."
    )
    upstream_url: Annotated[str, AfterValidator(origin)] = Field(UPSTREAM_URL, description="The origin of the API.")
    upstream_token: Credential | None = Field(None, description="A fine-grained token: issues, read and write.")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.upstream_token is None:
            yield missing(type(self), "upstream_token")


class Repository(BaseModel):
    """A repository."""

    full_name: str
    description: str | None
    stargazers_count: int
    html_url: str


class Comment(BaseModel):
    """What somebody said under an issue."""

    author: str
    text: str
    url: str


class Issue(BaseModel):
    """An issue, named as people do: owner/repository#number."""

    id: str
    title: str
    state: str
    text: str
    comments: list[Comment] = []


class _Issue(BaseModel):
    repository_url: str
    number: int
    title: str
    state: str
    body: str | None

    def issue(self) -> Issue:
        repository = "/".join(self.repository_url.split("/")[-2:])
        return Issue(id=f"{repository}#{self.number}", title=self.title, state=self.state, text=self.body or "")


class _User(BaseModel):
    login: str


class _Comment(BaseModel):
    user: _User | None  # None: deleted the account.
    body: str
    html_url: str

    def comment(self) -> Comment:
        return Comment(author=self.user.login if self.user else "ghost", text=self.body, url=self.html_url)


class _Issues(BaseModel):
    items: list[_Issue]


class _Repositories(BaseModel):
    items: list[Repository]


class Upstream:
    """Client of GitHub. Open it once, share it among requests. Every failure is a ToolError with words."""

    def __init__(self, settings: UpstreamSettings) -> None:
        assert settings.upstream_token is not None
        headers = {
            "User-Agent": NAME,
            "Authorization": f"Bearer {settings.upstream_token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
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

    async def search(self, query: str, limit: int) -> list[Issue]:
        """Issues, best first, by GitHub's own search syntax. Without comments."""
        found = await self._get("/search/issues", q=f"{query} is:issue", per_page=limit)
        return [each.issue() for each in _read(_Issues, found).items]

    async def repositories(self, query: str, limit: int) -> list[Repository]:
        """Repositories, best first, by GitHub's own search syntax."""
        return _read(_Repositories, await self._get("/search/repositories", q=query, per_page=limit)).items

    async def get(self, issue_id: str) -> Issue:
        """One issue with its first hundred comments."""
        path = _path(issue_id)
        issue = _read(_Issue, await self._get(path)).issue()
        said = _read(list[_Comment], await self._get(f"{path}/comments", per_page=MOST_COMMENTS))
        return issue.model_copy(update={"comments": [each.comment() for each in said]})

    async def comment(self, issue_id: str, text: str) -> Comment:
        """Adds a comment. Not repeated on failure: it might be there already."""
        said = await self._request("POST", f"{_path(issue_id)}/comments", json={"body": text})
        return _read(_Comment, said).comment()

    def link(self, issue: Issue) -> str:
        """Where a person finds it."""
        return f"https://github.com/{issue.id.replace('#', '/issues/')}"

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
                            raise ToolError("GitHub gave more than this server reads.")
        except (httpx.HTTPError, TimeoutError) as error:
            raise _Passing(f"GitHub is out of reach ({type(error).__name__}). {again}") from None
        if response.is_success:
            return bytes(body)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise ToolError("GitHub refuses this server's token. Its owner has to see to it.")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ToolError("There is no such issue, or this server's token may not see it. Use search to find one.")
        if response.status_code in (httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS):
            raise ToolError(LIMITED)
        if response.is_server_error:
            raise _Passing(f"GitHub answered {response.status_code}. {again}")
        raise ToolError(f"GitHub did not accept the request ({response.status_code}).")


class _Passing(ToolError):
    """A failure that may be gone when the call is repeated."""


def _path(issue_id: str) -> str:
    found = ISSUE.fullmatch(issue_id)
    if found is None:
        raise ToolError("An issue is named owner/repository#number, for example octocat/hello#7.")
    return f"/repos/{found['repository']}/issues/{found['number']}"


def _read(shape: type[T], body: bytes) -> T:
    try:
        return TypeAdapter(shape).validate_json(body)
    except ValidationError:
        raise ToolError("GitHub gave an answer that this server does not understand.") from None
