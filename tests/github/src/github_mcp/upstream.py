"""GitHub's API: its settings and its client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Annotated, Any, Self

import httpx
import stamina
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import AfterValidator, BaseModel, Field

from stytch_mcp.observing import observed
from stytch_mcp.protect.origins import origin
from stytch_mcp.settings import Credential, Problem, Settings, missing

from .constants import NAME, PUBLIC_URL, UPSTREAM_URL

ISSUE = re.compile(r"(?P<repository>[a-z0-9-]{1,39}/\w[\w.-]{0,99})#(?P<number>[1-9][0-9]{0,9})", re.ASCII | re.I)
MOST_COMMENTS = 100
LIMITED = "GitHub refuses: too many requests, or this server's token has too few rights. Try again later."


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
        self._http = observed(httpx.AsyncClient(base_url=settings.upstream_url, headers=headers, timeout=10))

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def search(self, query: str, limit: int) -> list[Issue]:
        """Issues, best first, by GitHub's own search syntax. Without comments."""
        found = await self._read("/search/issues", q=f"{query} is:issue", per_page=limit)
        return [_issue(item) for item in found["items"]]

    async def repositories(self, query: str, limit: int) -> list[Repository]:
        """Repositories, best first, by GitHub's own search syntax."""
        found = await self._read("/search/repositories", q=query, per_page=limit)
        return [Repository.model_validate(item) for item in found["items"]]

    async def get(self, issue_id: str) -> Issue:
        """One issue with its first hundred comments."""
        path = _path(issue_id)
        issue = _issue(await self._read(path))
        said = await self._read(f"{path}/comments", per_page=MOST_COMMENTS)
        return issue.model_copy(update={"comments": [_comment(item) for item in said]})

    async def comment(self, issue_id: str, text: str) -> Comment:
        """Adds a comment. Never repeated: it might be there already."""
        return _comment(await self._ask("POST", f"{_path(issue_id)}/comments", json={"body": text}))

    def link(self, issue: Issue) -> str:
        """Where a person finds it."""
        return f"https://github.com/{issue.id.replace('#', '/issues/')}"

    async def _read(self, path: str, **query: str | int) -> Any:
        async for attempt in stamina.retry_context(on=_Passing, attempts=3):
            with attempt:
                return await self._ask("GET", path, params=query)
        raise AssertionError("retry_context always returns or raises")

    async def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = await self._http.request(method, path, **content)
        except httpx.TransportError:
            raise _Passing("GitHub is out of reach. Try again later.") from None
        if response.is_success:
            return response.json()
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ToolError("There is no such issue, or this server's token may not see it. Use search to find one.")
        if response.status_code in (httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS):
            raise ToolError(LIMITED)
        if response.is_server_error:
            raise _Passing(f"GitHub answered {response.status_code}. Try again later.")
        raise ToolError(f"GitHub did not accept the request ({response.status_code}).")


class _Passing(ToolError):
    """May be gone when a read is repeated."""


def _path(issue_id: str) -> str:
    found = ISSUE.fullmatch(issue_id)
    if found is None:
        raise ToolError("An issue is named owner/repository#number, for example octocat/hello#7.")
    return f"/repos/{found['repository']}/issues/{found['number']}"


def _issue(item: dict[str, Any]) -> Issue:
    repository = "/".join(item["repository_url"].split("/")[-2:])
    name = f"{repository}#{item['number']}"
    return Issue(id=name, title=item["title"], state=item["state"], text=item["body"] or "")


def _comment(item: dict[str, Any]) -> Comment:
    # Who deleted their account is null.
    return Comment(author=(item["user"] or {"login": "ghost"})["login"], text=item["body"], url=item["html_url"])
