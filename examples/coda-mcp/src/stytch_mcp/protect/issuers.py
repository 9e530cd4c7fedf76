"""Who may sign access tokens, as data: one `Issuer` per authorization server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeGuard
from urllib.parse import urlsplit

Claims = Mapping[str, Any]

# OpenID Connect Core sections 3.1.2.1, 5.4 and 11: they open claims, and say nothing about what a tool may do.
OPENID_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})

# Keycloak writes the kind of a token into its claims: Bearer for access tokens, else ID, Refresh, Offline, Logout.
KEYCLOAK_ACCESS = ("Bearer", "JWT", "at+jwt")

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


def _subject(claims: Claims) -> str:
    subject: str = claims["sub"]
    return subject


def _granted(claims: Claims) -> frozenset[str]:
    return frozenset(claims["scope"].split())


def _verified_email(claims: Claims) -> frozenset[str]:
    verified = claims.get("email_verified") is True and isinstance(claims.get("email"), str)
    return frozenset({claims["email"]}) if verified else frozenset()


@dataclass(frozen=True)
class Issuer:
    """Somebody whose signed tokens are accepted: an authorization server, or Cloudflare Access.

    `issuer` is compared byte by byte with the `iss` claim (RFC 9207 section 2.4, RFC 8414 section 3.3). `keys_url` is
    None where it is found by discovery. `flaw` tells what makes verified claims something else than an access token;
    `subject`, `client_id`, `scopes_from`, `emails` and `organization` read those without one. `grants_scopes` is false
    where clients cannot get scopes of this server by asking for them.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    flaw: Callable[[Claims], str | None]
    client_id: Callable[[Claims], str]
    subject: Callable[[Claims], str] = _subject
    scopes_from: Callable[[Claims], frozenset[str]] = _granted
    emails: Callable[[Claims], frozenset[str]] = _verified_email
    organization: Callable[[Claims], str | None] = lambda _: None
    grants_scopes: bool = True
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
        return Principal(
            subject=self.subject(claims),
            client_id=self.client_id(claims),
            issuer=self.issuer,
            scopes=self.scopes_from(claims),
            expires_at=claims["exp"],
            organization=self.organization(claims),
            emails=self.emails(claims),
            can_step_up=self.grants_scopes,
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
        organization=_organization,
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


def workos(domain: str, audience: str, default_scopes: Iterable[str]) -> Issuer:
    """WorkOS AuthKit. `audience` is the resource indicator (RFC 8707) that AuthKit was told of.

    The claims are those of a Connect access token (workos.com/docs, "WorkOS Connect", "Access token"): no `nbf`, and
    neither `client_id` nor `scope` is documented. `external_id` comes from a JWT template, and people who moved here
    keep it as their principal. AuthKit knows no scopes of this server, so roles and `default_scopes` stand in.
    """
    return Issuer(
        name="workos",
        issuer=domain,
        keys_url=f"{domain}/oauth2/jwks",
        audiences=frozenset({audience}),
        flaw=_workos_flaw,
        subject=lambda claims: str(claims.get("external_id") or claims["sub"]),
        client_id=lambda claims: str(claims.get("client_id") or claims.get("sid") or "unknown"),
        scopes_from=partial(_workos_scopes, frozenset(default_scopes)),
        grants_scopes=False,
        required_claims=("iss", "aud", "sub", "exp", "iat"),
    )


def cloudflare_access(
    team_domain: str, audience: str, scopes: Iterable[str], service_tokens: Collection[str]
) -> Issuer:
    """Cloudflare Access, which vouches for whom it let through (developers.cloudflare.com, "Application token").

    `audience` is the AUD tag of the application; `service_tokens` the names (`common_name`) that may come in. Those
    tokens have an empty `sub` and no `nbf`. All get the same `scopes`.
    """
    granted = frozenset(scopes)
    return Issuer(
        name="cloudflare_access",
        issuer=team_domain,
        keys_url=f"{team_domain}/cdn-cgi/access/certs",
        audiences=frozenset({audience}),
        flaw=partial(_access_flaw, frozenset(service_tokens)),
        subject=lambda claims: str(claims.get("common_name") or claims["sub"]),
        client_id=lambda claims: str(claims.get("common_name") or "cloudflare-access"),
        scopes_from=lambda _: granted,
        emails=lambda claims: frozenset() if "common_name" in claims else frozenset({claims["email"]}),
        grants_scopes=False,
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
    if claims.get("typ", "Bearer") not in KEYCLOAK_ACCESS:
        return f"typ is {str(claims['typ'])[:20]!r}: not an access token of Keycloak"
    if not any(isinstance(claims.get(name), str) and claims[name] for name in ("client_id", "azp")):
        return "neither client_id nor azp"
    return None if claims["sub"] else "sub is empty"


def _workos_flaw(claims: Claims) -> str | None:
    if "nonce" in claims or "at_hash" in claims:
        return "an ID token"
    if not isinstance(claims.get("scope", ""), str):
        return "scope is not a string"
    if not _starts(claims["sub"], "user_"):
        return "sub is not a user: an M2M token"
    # To take a person for another principal than before would be worse than to let nobody in.
    return None if _starts(claims.get("external_id") or "none", "") else "external_id is not an identifier"


def _workos_scopes(default: frozenset[str], claims: Claims) -> frozenset[str]:
    """The `scope` claim if it names more than OpenID Connect's own, else `permissions`, else the default."""
    granted = frozenset(str(claims.get("scope", "")).split())
    if granted - OPENID_SCOPES:
        return granted
    permissions = claims.get("permissions")
    if isinstance(permissions, list):
        return granted.union(each for each in permissions if isinstance(each, str))
    return granted | default


def _access_flaw(service_tokens: frozenset[str], claims: Claims) -> str | None:
    if claims.get("type") != "app":
        return "type is not app: a global session token"
    if "common_name" in claims:
        name = str(claims["common_name"])
        return None if name in service_tokens else f"CF_ACCESS_SERVICE_TOKENS has no {name[:80]!r}"
    if "nbf" not in claims:
        return "nbf is missing"
    if not claims["sub"]:
        return "neither a person nor a service token"
    return None if isinstance(claims.get("email"), str) else "no e-mail address"


def _organization(claims: Claims) -> str | None:
    organization = claims.get(STYTCH_ORGANIZATION)
    identifier = organization.get("organization_id") if isinstance(organization, Mapping) else None
    return identifier if _starts(identifier, "") else None


def _starts(value: object, prefix: str) -> TypeGuard[str]:
    """Whether it is an identifier that begins like this. Stytch's are ASCII, and go into URLs."""
    return isinstance(value, str) and value.startswith(prefix) and len(value) > len(prefix) and value.isascii()
