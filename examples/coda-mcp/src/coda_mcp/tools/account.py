"""Whose API token this is, and what a link leads to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.access import doc_of_href
from ..upstream.links import is_coda_link
from .registry import Registry
from .results import Result, id_of


class Account(Result):
    """The user at Coda with whose rights everything happens."""

    name: str
    login_id: str
    scoped: bool = Field(description="Whether the token is restricted; to what, Coda does not tell")
    token_name: str | None = None
    workspace_id: str | None = None


class Resolved(Result):
    """What a link leads to."""

    type: str
    id: str
    name: str | None = None
    doc_id: str | None = None
    browser_link: str | None = None


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds `coda_whoami` and `coda_resolve_link`."""

    @tools.read("Who am I at Coda?")
    async def coda_whoami() -> Account:
        """Tell with which Coda user's rights the tools act."""
        user = await upstream.get("whoami")
        return Account.model_validate({**user, "workspaceId": id_of(user.get("workspace"))})

    @tools.read("Resolve a link")
    async def coda_resolve_link(
        url: Annotated[str, Field(description="A Coda link from a browser", max_length=2000)],
        degrade_gracefully: Annotated[bool, Field(description="If it is gone, the nearest that is left")] = True,
    ) -> Resolved:
        """Turn a Coda link into type, ID and doc ID."""
        return await resolve(upstream, url, degrade_gracefully)


async def resolve(upstream: Upstream, url: str, degrade_gracefully: bool) -> Resolved:
    """What a link leads to. Raises CodaError for links elsewhere, and into docs that may not be used."""
    if not is_coda_link(url, upstream.settings.upstream_url):
        raise CodaError("bad_argument", "This is no link to Coda: it begins with https://coda.io/ or the like.")
    link = await upstream.get("resolveBrowserLink", url=url, degradeGracefully=degrade_gracefully)
    resource = link.get("resource") or {}
    doc_id = doc_of_href(str(resource.get("href", ""))) or (resource["id"] if resource.get("type") == "doc" else None)
    if upstream.access.doc_ids:
        upstream.access.require(doc_id or "")
    return Resolved.model_validate({**resource, "doc_id": doc_id, "browser_link": link.get("browserLink")})
