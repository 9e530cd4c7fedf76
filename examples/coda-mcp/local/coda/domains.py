"""Custom domains of published docs."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Query, operation
from local.coda.model import Domain
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import iso

PROVIDERS = {"stars.example.com": "Namecheap", "bakery.example.com": "GoDaddy"}
NAME = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$"
PAGE_SIZE = 25


class DomainsQuery(Query):
    page_token: str | None = None


class DomainAdd(Body):
    custom_doc_domain: str = Field(pattern=NAME, max_length=253)


class DomainUpdate(Body):
    pass


def render(domain: Domain) -> dict[str, Any]:
    """It is set up as soon as it has been looked at once more."""
    is_done = domain.verified_at is not None
    content: dict[str, Any] = {
        "customDocDomain": domain.name,
        "hasCertificate": is_done,
        "hasDnsDocId": is_done,
        "setupStatus": "succeeded" if is_done else "pending",
        "domainStatus": "connected" if is_done else "notConnected",
    }
    if domain.verified_at is not None:
        content["lastVerifiedTimestamp"] = iso(domain.verified_at)
    return content


async def list_domains(call: Call[DomainsQuery]) -> Response:
    doc = call.doc()
    return answer(call.page(doc.domains.values(), render, PAGE_SIZE, "customDocDomains"))


async def add(call: Call[Query]) -> Response:
    doc, body = call.doc(write=True), await call.body(DomainAdd)
    if any(body.custom_doc_domain in one.domains for one in call.world.docs.values()):
        raise bad_request("the domain is taken")
    doc.domains[body.custom_doc_domain] = Domain(body.custom_doc_domain, call.world.now())
    return answer({}, 202)


async def update(call: Call[Query]) -> Response:
    doc = call.doc(write=True)
    await call.body(DomainUpdate)
    domain = doc.domains.get(call.path["domain"])
    if domain is None:
        raise ApiError(404)
    domain.verified_at = call.world.now()
    return answer({})


async def delete(call: Call[Query]) -> Response:
    if call.doc(write=True).domains.pop(call.path["domain"], None) is None:
        raise ApiError(404)
    return answer({})


async def provider(call: Call[Query]) -> Response:
    return answer({"provider": PROVIDERS.get(call.path["domain"], "Other")})


ROUTES = [
    operation("GET", "/docs/{doc}/domains", list_domains, query=DomainsQuery),
    operation("POST", "/docs/{doc}/domains", add, "writing"),
    operation("PATCH", "/docs/{doc}/domains/{domain}", update, "writing"),
    operation("DELETE", "/docs/{doc}/domains/{domain}", delete, "writing"),
    operation("GET", "/domains/provider/{domain}", provider),
]
