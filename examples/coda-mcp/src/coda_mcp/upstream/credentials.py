"""Whose rights a call has at Coda."""

from __future__ import annotations

from dataclasses import dataclass

from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr

from .errors import CodaError
from .settings import UpstreamSettings


@dataclass(frozen=True)
class CodaCredential:
    """A token of Coda's API. `name` tells apart limits, caches and pending writes; it is no secret."""

    name: str
    token: SecretStr


class Credentials:
    """The place where a caller becomes a user of Coda.

    Today everyone acts as the owner of CODA_API_TOKEN. A server whose people link Coda accounts of their own looks the
    credential up here, by `principal.subject` and the issuer in `principal.claims["iss"]`, and nothing else changes.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        token = settings.coda_api_token
        self._shared = None if token is None else CodaCredential("shared", token)

    async def credential_for(self, principal: AccessToken | None) -> CodaCredential:
        """Coda's credential for the caller that the gate let in. Raises CodaError when there is none."""
        if self._shared is None:
            raise CodaError("unauthorized", "This server has no CODA_API_TOKEN. Its owner has to set one.")
        return self._shared
