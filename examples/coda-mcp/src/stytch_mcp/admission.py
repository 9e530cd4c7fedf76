"""Who is let in, as the settings say: whose tokens count, and what is asked about the one who brings one."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from stytch_mcp.protect import issuers
from stytch_mcp.protect.bearer import BearerTokens
from stytch_mcp.protect.gate import Authenticate
from stytch_mcp.protect.issuers import Issuer, Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.policy import AccessPolicy
from stytch_mcp.protect.reasons import OAUTH_IS_OFF, Refused
from stytch_mcp.protect.remote import Clock
from stytch_mcp.protect.revocation import Revocation
from stytch_mcp.protect.subjects import Subjects, WorkosSubjects
from stytch_mcp.protect.verifier import Verifier
from stytch_mcp.settings import Settings


def accepted_issuers(settings: Settings) -> list[Issuer]:
    """Whose tokens are accepted; the first is advertised first."""
    return [_PRESETS[name](settings) for name in settings.accepted_issuers]


def _stytch(settings: Settings) -> Issuer:
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    audience = {"project": settings.stytch_project_id, "resource": settings.mcp_url}
    return issuers.stytch(settings.stytch_domain, audience.get(settings.stytch_audience, settings.stytch_audience))


def _oidc(settings: Settings) -> Issuer:
    assert settings.oidc_issuer is not None
    return issuers.oidc(settings.oidc_issuer, settings.oidc_audience or settings.mcp_url)


def _workos(settings: Settings) -> Issuer:
    assert settings.workos_domain is not None
    audience = settings.workos_audience or settings.mcp_url
    return issuers.workos(settings.workos_domain, audience, settings.workos_default_scopes)


def _cloudflare_access(settings: Settings) -> Issuer:
    assert settings.cf_access_team_domain is not None
    assert settings.cf_access_aud is not None
    return issuers.cloudflare_access(
        settings.cf_access_team_domain,
        settings.cf_access_aud,
        settings.cf_access_scopes,
        settings.cf_access_service_tokens,
    )


_PRESETS: dict[str, Callable[[Settings], Issuer]] = {
    "stytch": _stytch,
    "workos": _workos,
    "oidc": _oidc,
    "cloudflare_access": _cloudflare_access,
}


def ways_in(
    settings: Settings,
    accepted: list[Issuer],
    keys: dict[str, Keys],
    http: httpx.AsyncClient,
    *,
    now: Clock,
    clock: Clock,
) -> tuple[Authenticate, Authenticate | None]:
    """Who judges the Authorization header, and who the assertion of Cloudflare Access, if that counts."""
    bearer = BearerTokens(settings.bearer_tokens, now)
    verifier = Verifier([(issuer, keys[issuer.name]) for issuer in accepted], now=now, clock=clock)
    policy = AccessPolicy(
        settings.rules, _stytch_subjects(settings, http, clock), _workos_subjects(settings, http, clock)
    )
    revocation = _revocation(settings, http, now, clock)

    async def authenticate(token: str) -> Principal:
        principal = bearer.find(token)
        if principal is None:
            principal = await verifier.verify(token)
            await policy.admit(principal)
            if revocation is not None:
                await revocation.check(principal)
        return principal

    async def only_static(token: str) -> Principal:
        principal = bearer.find(token)
        if principal is None:
            raise Refused(OAUTH_IS_OFF, "AUTH_MODE is cloudflare-access")
        return principal

    async def assertion(token: str) -> Principal:
        principal = await verifier.verify(token)
        await policy.admit(principal)
        return principal

    return (only_static, assertion) if settings.behind_access else (authenticate, None)


def _workos_subjects(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> WorkosSubjects | None:
    if "workos" not in settings.accepted_issuers or settings.workos_api_key is None:
        return None
    assert settings.workos_domain is not None
    api_key = settings.workos_api_key.get_secret_value()
    return WorkosSubjects(http, domain=settings.workos_domain, api_key=api_key, clock=clock)


def _stytch_subjects(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Subjects | None:
    if "stytch" not in settings.accepted_issuers or settings.stytch_secret is None:
        return None
    return Subjects(http, **_stytch_project(settings), clock=clock)


def _stytch_project(settings: Settings) -> dict[str, str]:
    """How Stytch's API is asked; the settings have seen to it that all of it is there."""
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    assert settings.stytch_secret is not None
    return {
        "domain": settings.stytch_domain,
        "project_id": settings.stytch_project_id,
        "secret": settings.stytch_secret.get_secret_value(),
    }


def _revocation(settings: Settings, http: httpx.AsyncClient, now: Clock, clock: Clock) -> Revocation | None:
    if settings.stytch_revocation_seconds is None or "stytch" not in settings.accepted_issuers:
        return None
    return Revocation(
        http,
        **_stytch_project(settings),
        seconds=settings.stytch_revocation_seconds,
        now=now,
        clock=clock,
    )
