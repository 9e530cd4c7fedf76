"""Domains of one's own for published docs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..upstream import Upstream
from .fields import Cursor, DocId
from .registry import Registry
from .results import Change, Listing, Result, more

Name = Annotated[str, Field(description="Like docs.example.com", max_length=253)]


class Domain(Result):
    custom_doc_domain: str
    has_certificate: bool | None = None
    has_dns_doc_id: bool | None = None
    setup_status: str | None = None
    domain_status: str | None = None
    last_verified_timestamp: str | None = None


class Domains(Listing):
    items: list[Domain]


class Provider(Result):
    provider: str


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for domains."""

    @tools.read("List custom domains")
    async def coda_list_custom_domains(doc_id: DocId, cursor: Cursor = None) -> Domains:
        """List the domains of a published doc and how far their setup is."""
        found = await upstream.page("docs", doc_id, "domains", cursor=cursor)
        return Domains(items=[Domain.model_validate(item) for item in found["customDocDomains"]], **more(found))

    @tools.write("Add a custom domain")
    async def coda_add_custom_domain(doc_id: DocId, domain: Name) -> Change:
        """Let a published doc appear under a domain, whose DNS has to be set up as Coda says."""
        await upstream.send("POST", "docs", doc_id, "domains", body={"customDocDomain": domain})
        said = "Coda sets it up in the background: see coda_list_custom_domains."
        return Change(status="pending", id=domain, message=said)

    @tools.write("Check a custom domain again", idempotent=True)
    async def coda_update_custom_domain(doc_id: DocId, domain: Name) -> Change:
        """Let Coda look at a domain's DNS again."""
        await upstream.send("PATCH", "docs", doc_id, "domains", domain, body={}, repeatable=True)
        return Change(status="applied", id=domain)

    @tools.write("Remove a custom domain", destructive=True, idempotent=True)
    async def coda_delete_custom_domain(doc_id: DocId, domain: Name) -> Change:
        """Take a domain away from a published doc."""
        await upstream.send("DELETE", "docs", doc_id, "domains", domain, repeatable=True)
        return Change(status="applied", id=domain)

    @tools.read("Provider of a domain")
    async def coda_get_custom_domain_provider(domain: Name) -> Provider:
        """Tell with which provider a domain is registered, as far as Coda knows it."""
        return Provider.model_validate(await upstream.get("domains", "provider", domain))
