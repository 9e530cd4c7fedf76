"""Who may sign access tokens, as data: one `Issuer` per authorization server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import urlsplit

Claims = Mapping[str, Any]

STYTCH_SESSION = "https://stytch.com/session"
STYTCH_ORGANIZATION = "https://stytch.com/organization"


@dataclass(frozen=True)
class Principal:
    """Who is calling: a person (`subject`) through an application (`client_id`).

    `emails` are addresses that the issuer itself reports as verified in the token; usually none are there.
    `expires_at` is in seconds since the epoch. `can_step_up` is false for those who cannot ask for more scopes.
    """

    subject: str
    client_id: str
    issuer: str
    scopes: frozenset[str]
    expires_at: float | None = None
    organization: str | None = None
    emails: frozenset[str] = frozenset()
    can_step_up: bool = True
    claims: Claims = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Issuer:
    """An authorization server whose access tokens are accepted.

    `issuer` is compared byte by byte with the `iss` claim (RFC 9207 section 2.4, RFC 8414 section 3.3). `keys_url` is
    None where it is found by discovery. `flaw` tells what makes verified claims something else than an access token.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    flaw: Callable[[Claims], str | None]
    client_id: Callable[[Claims], str]
    keys_url: str | None = None
    algorithms: tuple[str, ...] = ("RS256",)
    required_claims: tuple[str, ...] = ("iss", "aud", "sub", "exp", "iat", "nbf")

    @property
    def metadata_urls(self) -> tuple[str, ...]:
        """Where the metadata may be, in the order of MCP 2026-07-28, "Authorization Server Metadata Discovery"."""
        origin, path = split_issuer(self.issuer)
        if not path:
            return (
                f"{origin}/.well-known/oauth-authorization-server",
                f"{origin}/.well-known/openid-configuration",
            )
        return (
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}/.well-known/openid-configuration{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        )

    def principal(self, claims: Claims) -> Principal:
        """The principal of verified claims that have no flaw."""
        verified = claims.get("email_verified") is True and isinstance(claims.get("email"), str)
        return Principal(
            subject=claims["sub"],
            client_id=self.client_id(claims),
            issuer=self.issuer,
            scopes=frozenset(claims["scope"].split()),
            expires_at=claims["exp"],
            organization=_organization(claims),
            emails=frozenset({claims["email"]}) if verified else frozenset(),
            claims=claims,
        )


def stytch(domain: str, audience: str) -> Issuer:
    """Stytch Connected Apps, consumer and B2B.

    Session JWTs, M2M tokens and ID tokens carry the same keys, issuer and audience as access tokens
    (stytch.com/docs, "Connected App access token"), so the kind of the token is told by its claims.
    """
    return Issuer(
        name="stytch",
        issuer=domain,
        keys_url=f"{domain}/.well-known/jwks.json",
        audiences=frozenset({audience}),
        flaw=_stytch_flaw,
        client_id=lambda claims: str(claims["client_id"]),
    )


def oidc(issuer: str, audience: str) -> Issuer:
    """Any issuer with RFC 8414 metadata or OpenID Connect discovery. `nbf` is optional there (RFC 9068 section 2.2)."""
    return Issuer(
        name="oidc",
        issuer=issuer,
        audiences=frozenset({audience}),
        flaw=_oidc_flaw,
        client_id=lambda claims: str(claims.get("client_id") or claims.get("azp")),
        required_claims=("iss", "aud", "sub", "exp", "iat"),
    )


def split_issuer(issuer: str) -> tuple[str, str]:
    """Origin and path of an issuer URL; the path without a closing slash."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _stytch_flaw(claims: Claims) -> str | None:
    if STYTCH_SESSION in claims:
        return "a session JWT"
    if not isinstance(claims.get("scope"), str):
        return "no scope: a session, M2M or ID token"
    if not _starts(claims.get("client_id"), "connected-app-"):
        return "client_id is not a connected app"
    if _starts(claims["sub"], "member-"):
        return None if _organization(claims) else "a member without an organization"
    return None if _starts(claims["sub"], "user-") else "sub is neither a user nor a member"


def _oidc_flaw(claims: Claims) -> str | None:
    if not isinstance(claims.get("scope"), str):
        return "no scope: not an access token"
    if "nonce" in claims or "at_hash" in claims:
        return "an ID token"
    if not any(isinstance(claims.get(name), str) and claims[name] for name in ("client_id", "azp")):
        return "neither client_id nor azp"
    return None if claims["sub"] else "sub is empty"


def _organization(claims: Claims) -> str | None:
    organization = claims.get(STYTCH_ORGANIZATION)
    identifier = organization.get("organization_id") if isinstance(organization, Mapping) else None
    return identifier if _starts(identifier, "") else None


def _starts(value: object, prefix: str) -> TypeGuard[str]:
    """Whether it is an identifier that begins like this. Stytch's are ASCII, and go into URLs."""
    return isinstance(value, str) and value.startswith(prefix) and len(value) > len(prefix) and value.isascii()
