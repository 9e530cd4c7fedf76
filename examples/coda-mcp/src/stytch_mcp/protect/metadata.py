"""The two documents under /.well-known: ours (RFC 9728) and the issuer's own (RFC 8414)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from stytch_mcp.protect.issuers import Issuer
from stytch_mcp.protect.remote import Clock, Remembered, Unavailable, fetch_json

REFRESH_AFTER_SECONDS = 300.0
KEEP_FOR_SECONDS = 24 * 3600.0
MAX_AGE_SECONDS = 60

PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"


def protected_resource(*, resource: str, issuers: Sequence[Issuer], scopes: Sequence[str], name: str) -> dict[str, Any]:
    """The protected resource metadata (RFC 9728 section 2).

    `resource` is the MCP URL, byte for byte as clients are given it; `scopes` the minimal set, never `offline_access`
    (MCP 2026-07-28, authorization, "Refresh Tokens").
    """
    return {
        "resource": resource,
        "authorization_servers": [issuer.issuer for issuer in issuers],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": name,
    }


def to_bytes(document: dict[str, Any]) -> bytes:
    """The JSON of a document as it goes over the wire."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class AuthorizationServerMetadata:
    """The issuer's document: parsed, and unchanged as it came."""

    document: dict[str, Any]
    body: bytes


class IssuerMetadata:
    """The authorization server metadata of one issuer, fetched, refreshed and kept while the issuer is down."""

    def __init__(self, issuer: Issuer, client: httpx.AsyncClient, clock: Clock = time.monotonic) -> None:
        self._issuer = issuer
        self._client = client
        self._remembered = Remembered(
            self._fetch, refresh_after=REFRESH_AFTER_SECONDS, keep_for=KEEP_FOR_SECONDS, clock=clock
        )

    async def get(self) -> AuthorizationServerMetadata:
        """The document, possibly an older one. Raises Unavailable."""
        return await self._remembered.get()

    async def check(self) -> str | None:
        """Ask the issuer now; what would make an OAuth 2.1 client refuse it, or None."""
        await self._remembered.refresh()
        if self._remembered.failing:
            return "the issuer's metadata cannot be fetched"
        document = (await self._remembered.get()).document
        if document.get("issuer") != self._issuer.issuer:
            return "the issuer's metadata names another issuer"
        if "S256" not in _list(document, "code_challenge_methods_supported"):
            return "the issuer's metadata does not advertise PKCE with S256"
        if not document.get("registration_endpoint") and not document.get("client_id_metadata_document_supported"):
            return "the issuer advertises neither client ID metadata documents nor dynamic client registration"
        missing = [name for name in ("authorization_endpoint", "token_endpoint") if not document.get(name)]
        return f"the issuer's metadata has no {missing[0]}" if missing else None

    async def keys_url(self) -> str:
        """`jwks_uri` of an issuer that says who it is. Raises Unavailable (RFC 8414 section 3.3)."""
        document = (await self.get()).document
        if document.get("issuer") != self._issuer.issuer:
            raise Unavailable(f"the metadata of {self._issuer.issuer} names another issuer")
        url = document.get("jwks_uri")
        scheme = self._issuer.issuer.partition("://")[0]
        if not isinstance(url, str) or not url.startswith(("https://", f"{scheme}://")):
            raise Unavailable(f"the metadata of {self._issuer.issuer} has no jwks_uri over https")
        return url

    async def _fetch(self) -> AuthorizationServerMetadata:
        *others, last = self._issuer.metadata_urls
        for url in others:
            try:
                return AuthorizationServerMetadata(*await fetch_json(self._client, url))
            except Unavailable:
                continue
        return AuthorizationServerMetadata(*await fetch_json(self._client, last))


def _list(document: dict[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    return value if isinstance(value, list) else []
