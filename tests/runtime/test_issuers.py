"""Which authorization servers are believed: the oidc preset, two at once, discovery, and what /health says of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from stytch_mcp.health import Health
from stytch_mcp.protect import issuers, reasons
from stytch_mcp.protect.issuers import Issuer, Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata, protected_resource, to_bytes
from stytch_mcp.protect.policy import AccessRules
from stytch_mcp.protect.reasons import Reason, Refused
from stytch_mcp.protect.remote import Unavailable
from stytch_mcp.protect.subjects import workos_api
from stytch_mcp.protect.verifier import Verifier
from tests.fake_issuer import DOMAIN, KEY_ID, PROJECT_ID, Answer, FakeIssuer, down, public_jwk, rsa_key

pytestmark = pytest.mark.anyio

IDP = "https://idp.example.org/tenant/one"
AUDIENCE = "https://notes.example.com/mcp"
OAUTH_INSERTED = "/.well-known/oauth-authorization-server/tenant/one"
OPENID_INSERTED = "/.well-known/openid-configuration/tenant/one"
OPENID_APPENDED = "/tenant/one/.well-known/openid-configuration"
JWKS = "/keys"

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


def own(issuer: FakeIssuer, preset: Issuer) -> tuple[Issuer, Keys]:
    metadata = IssuerMetadata(preset, issuer.client, issuer.clock)
    return preset, Keys(preset, metadata, issuer.client, issuer.clock)


@pytest.fixture
def idp() -> FakeIssuer:
    """Another authorization server, with a path in its name and its metadata at the first place."""
    idp = FakeIssuer(IDP)
    idp.keys = {KEY_ID: rsa_key("idp")}
    idp.answers[OAUTH_INSERTED] = lambda _: httpx.Response(200, json=document(idp))
    idp.answers[JWKS] = says({"keys": [public_jwk(rsa_key("idp"), KEY_ID)]})
    return idp


def document(idp: FakeIssuer, **changes: Any) -> dict[str, Any]:
    return {**idp.metadata(), "jwks_uri": f"https://idp.example.org{JWKS}", **changes}


def says(content: Any) -> Answer:
    return lambda _: httpx.Response(200, json=content)


def judge_of(idp: FakeIssuer) -> Verifier:
    return Verifier([own(idp, issuers.oidc(IDP, AUDIENCE))], now=idp.now, clock=idp.clock)


def token(idp: FakeIssuer, **changes: Any) -> str:
    return idp.token(**{"aud": AUDIENCE, "client_id": "app-1", "sub": "auth0|7", **changes})


async def outcome(judge: Verifier, text: str) -> Principal | Reason:
    try:
        return await judge.verify(text)
    except Refused as refused:
        return refused.reason


# The oidc preset.


@pytest.mark.parametrize(
    ("changes", "subject", "client_id"),
    [
        ({}, "auth0|7", "app-1"),
        ({"nbf": None}, "auth0|7", "app-1"),
        ({"client_id": None, "azp": "app-2"}, "auth0|7", "app-2"),
        ({"azp": "app-2"}, "auth0|7", "app-1"),
        ({"client_id": "", "azp": "app-2"}, "auth0|7", "app-2"),
        ({"scope": ""}, "auth0|7", "app-1"),
        ({"sub": "é"}, "é", "app-1"),
    ],
    ids=["complete", "no nbf", "azp", "client_id before azp", "empty client_id", "empty scope", "any subject"],
)
async def test_an_access_token_of_any_issuer(
    idp: FakeIssuer, changes: dict[str, Any], subject: str, client_id: str
) -> None:
    principal = await outcome(judge_of(idp), token(idp, **changes))
    assert isinstance(principal, Principal)
    assert (principal.subject, principal.client_id, principal.issuer) == (subject, client_id, IDP)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scope": None}, reasons.WRONG_TOKEN_KIND),
        ({"scope": ["openid"]}, reasons.WRONG_TOKEN_KIND),
        ({"nonce": "n"}, reasons.WRONG_TOKEN_KIND),
        ({"at_hash": "h"}, reasons.WRONG_TOKEN_KIND),
        ({"client_id": None}, reasons.WRONG_TOKEN_KIND),
        ({"client_id": 1, "azp": ["app"]}, reasons.WRONG_TOKEN_KIND),
        ({"client_id": "", "azp": ""}, reasons.WRONG_TOKEN_KIND),
        ({"sub": ""}, reasons.WRONG_TOKEN_KIND),
        ({"sub": None}, reasons.MISSING_CLAIM),
        ({"exp": None}, reasons.MISSING_CLAIM),
        ({"iat": None}, reasons.MISSING_CLAIM),
        ({"aud": None}, reasons.MISSING_CLAIM),
        ({"aud": "app-1"}, reasons.WRONG_AUDIENCE),
        ({"nbf": 1_800_000_031}, reasons.NOT_YET_VALID),
        ({"nbf": "x"}, reasons.WRONG_CLAIM),
        ({"iss": "https://idp.example.org"}, reasons.UNKNOWN_ISSUER),
        ({"iss": f"{IDP}/"}, reasons.UNKNOWN_ISSUER),
    ],
    ids=str,
)
async def test_what_is_no_access_token_of_any_issuer(idp: FakeIssuer, changes: dict[str, Any], reason: Reason) -> None:
    assert await outcome(judge_of(idp), token(idp, **changes)) is reason


async def test_a_stytch_token_without_nbf_is_incomplete(issuer: FakeIssuer) -> None:
    judge = Verifier([own(issuer, issuers.stytch(DOMAIN, PROJECT_ID))], now=issuer.now, clock=issuer.clock)
    assert await outcome(judge, issuer.token(nbf=None)) is reasons.MISSING_CLAIM


# Two issuers at once: a migration without an interruption.


async def test_iss_chooses_the_keys_and_nothing_else_does(issuer: FakeIssuer, idp: FakeIssuer) -> None:
    stytch = own(issuer, issuers.stytch(DOMAIN, PROJECT_ID))
    judge = Verifier([stytch, own(idp, issuers.oidc(IDP, AUDIENCE))], now=issuer.now, clock=issuer.clock)
    for text, name in ((issuer.token(), DOMAIN), (token(idp), IDP)):
        principal = await judge.verify(text)
        assert principal.issuer == name
    # The key IDs are the same: only the issuer tells them apart.
    assert await outcome(judge, token(idp, key=rsa_key("current"))) is reasons.WRONG_SIGNATURE
    assert await outcome(judge, issuer.token(key=rsa_key("idp"))) is reasons.WRONG_SIGNATURE
    assert await outcome(judge, issuer.token(key=rsa_key("idp"), iss=IDP)) is reasons.WRONG_AUDIENCE


async def test_the_audience_and_kind_of_one_issuer_are_not_those_of_the_other(
    issuer: FakeIssuer, idp: FakeIssuer
) -> None:
    stytch = own(issuer, issuers.stytch(DOMAIN, PROJECT_ID))
    judge = Verifier([stytch, own(idp, issuers.oidc(IDP, AUDIENCE))], now=issuer.now, clock=issuer.clock)
    assert await outcome(judge, token(idp, aud=PROJECT_ID)) is reasons.WRONG_AUDIENCE
    assert await outcome(judge, issuer.token(aud=AUDIENCE)) is reasons.WRONG_AUDIENCE
    assert await outcome(judge, issuer.token(client_id="app-1")) is reasons.WRONG_TOKEN_KIND


async def test_only_stytch_says_who_is_in_its_organizations(idp: FakeIssuer) -> None:
    """ALLOWED_ORGANIZATIONS names Stytch's: the same claim in another issuer's token counts for nothing."""
    claim = {"https://stytch.com/organization": {"organization_id": "organization-live-1"}}
    found = await outcome(judge_of(idp), token(idp, **claim))
    assert isinstance(found, Principal)
    assert not AccessRules(organizations=frozenset({"organization-live-1"})).admits_subject(found)


async def test_one_issuer_being_down_does_not_touch_the_other(issuer: FakeIssuer, idp: FakeIssuer) -> None:
    stytch = own(issuer, issuers.stytch(DOMAIN, PROJECT_ID))
    judge = Verifier([stytch, own(idp, issuers.oidc(IDP, AUDIENCE))], now=issuer.now, clock=issuer.clock)
    issuer.answers["/.well-known/jwks.json"] = down
    assert await outcome(judge, issuer.token()) is reasons.KEYS_UNAVAILABLE
    assert isinstance(await outcome(judge, token(idp)), Principal)


# Discovery.


@pytest.mark.parametrize(
    ("name", "urls"),
    [
        ("https://idp.example.org", (OAUTH, OPENID)),
        ("https://idp.example.org/", (OAUTH, OPENID)),
        (IDP, (OAUTH_INSERTED, OPENID_INSERTED, OPENID_APPENDED)),
        (f"{IDP}/", (OAUTH_INSERTED, OPENID_INSERTED, OPENID_APPENDED)),
    ],
)
def test_where_metadata_may_be(name: str, urls: tuple[str, ...]) -> None:
    assert issuers.oidc(name, "x").metadata_urls == tuple(f"https://idp.example.org{url}" for url in urls)


@pytest.mark.parametrize("place", [OAUTH_INSERTED, OPENID_INSERTED, OPENID_APPENDED])
async def test_the_places_are_tried_in_order_up_to_the_first_that_answers(idp: FakeIssuer, place: str) -> None:
    del idp.answers[OAUTH_INSERTED]
    idp.answers[place] = says(document(idp))
    assert isinstance(await outcome(judge_of(idp), token(idp)), Principal)
    order = [OAUTH_INSERTED, OPENID_INSERTED, OPENID_APPENDED]
    asked = [request.url.path for request in idp.seen]
    assert asked[: order.index(place) + 2] == [*order[: order.index(place) + 1], JWKS]


async def test_nothing_at_any_place_is_503(idp: FakeIssuer) -> None:
    del idp.answers[OAUTH_INSERTED]
    assert await outcome(judge_of(idp), token(idp)) is reasons.KEYS_UNAVAILABLE
    assert [request.url.path for request in idp.seen] == [OAUTH_INSERTED, OPENID_INSERTED, OPENID_APPENDED]


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://idp.example.org/tenant/two"},
        {"issuer": f"{IDP}/"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 5},
        {"jwks_uri": ""},
        {"jwks_uri": "/keys"},
        {"jwks_uri": "http://idp.example.org/keys"},
    ],
    ids=str,
)
async def test_metadata_that_is_not_the_issuers_own_leads_to_no_keys(idp: FakeIssuer, changes: dict[str, Any]) -> None:
    idp.answers[OAUTH_INSERTED] = says(document(idp, **changes))
    assert await outcome(judge_of(idp), token(idp)) is reasons.KEYS_UNAVAILABLE
    assert idp.requests[JWKS] == 0


async def test_stytch_keys_need_no_metadata(issuer: FakeIssuer) -> None:
    issuer.answers[OAUTH] = down
    _, keys = own(issuer, issuers.stytch(DOMAIN, PROJECT_ID))
    assert (await keys.get(KEY_ID)).key_id == KEY_ID
    assert issuer.requests[OAUTH] == 0


# The issuer's metadata, and ours.


def metadata_of(issuer: FakeIssuer) -> IssuerMetadata:
    return IssuerMetadata(issuers.stytch(DOMAIN, PROJECT_ID), issuer.client, issuer.clock)


async def test_the_issuers_document_is_kept_byte_for_byte_for_a_day(issuer: FakeIssuer) -> None:
    body = b'{ "issuer" : "x",\n "extension": "\\u00e9" }'
    issuer.answers[OAUTH] = lambda _: httpx.Response(200, content=body)
    metadata = metadata_of(issuer)
    assert (await metadata.get()).body == body
    issuer.answers[OAUTH] = issuer.answers[OPENID] = down
    issuer.clock.forward(24 * 3600)
    assert (await metadata.get()).body == body
    issuer.clock.forward(5)
    with pytest.raises(Unavailable):
        await metadata.get()


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({}, None),
        ({"registration_endpoint": None}, None),
        ({"client_id_metadata_document_supported": False}, None),
        ({"issuer": f"{DOMAIN}/"}, "names another issuer"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"code_challenge_methods_supported": "S256"}, "PKCE"),
        ({"code_challenge_methods_supported": None}, "PKCE"),
        ({"registration_endpoint": None, "client_id_metadata_document_supported": False}, "registration"),
        ({"authorization_endpoint": None}, "no authorization_endpoint"),
        ({"token_endpoint": ""}, "no token_endpoint"),
    ],
    ids=str,
)
async def test_what_a_client_would_miss(issuer: FakeIssuer, changes: dict[str, Any], flaw: str | None) -> None:
    issuer.answers[OAUTH] = says({**issuer.metadata(), **changes})
    found = await metadata_of(issuer).check()
    assert (found is None) if flaw is None else (flaw in (found or ""))


async def test_metadata_that_cannot_be_had_is_a_flaw_though_an_old_one_is_known(issuer: FakeIssuer) -> None:
    metadata = metadata_of(issuer)
    assert await metadata.check() is None
    issuer.answers[OAUTH] = issuer.answers[OPENID] = down
    assert "cannot be fetched" in (await metadata.check() or "")
    assert (await metadata.get()).document["issuer"] == DOMAIN


def test_our_own_document_names_the_issuers_byte_for_byte() -> None:
    accepted = [issuers.stytch(DOMAIN, PROJECT_ID), issuers.oidc(f"{IDP}/", AUDIENCE)]
    written = protected_resource(resource=AUDIENCE, issuers=accepted, scopes=("notes:read",), name="Notizen für alle")
    assert json.loads(to_bytes(written)) == {
        "resource": AUDIENCE,
        "authorization_servers": [DOMAIN, f"{IDP}/"],
        "scopes_supported": ["notes:read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Notizen für alle",
    }
    assert "für".encode() in to_bytes(written)


# Health.


@pytest.fixture
def health(issuer: FakeIssuer) -> Health:
    return health_of(issuer)


def health_of(*issued: FakeIssuer) -> Health:
    presets = [
        issuers.stytch(DOMAIN, PROJECT_ID) if each.domain == DOMAIN else issuers.oidc(each.domain, AUDIENCE)
        for each in issued
    ]
    return Health(
        [
            (*own(each, preset), IssuerMetadata(preset, each.client, each.clock))
            for each, preset in zip(issued, presets, strict=True)
        ],
        clock=issued[0].clock,
    )


async def test_nothing_is_compliant_before_it_was_checked_and_a_minute_after(
    issuer: FakeIssuer, health: Health
) -> None:
    assert (health.reason, health.ready) == ("no check within the last minute", False)
    await health.check()
    assert health.reason is None
    assert health.ready
    issuer.clock.forward(60)
    assert health.reason is None
    issuer.clock.forward(0.5)
    assert (health.reason or "", health.ready) == ("no check within the last minute", True)


async def test_health_says_what_is_wrong_and_recovers(issuer: FakeIssuer, health: Health) -> None:
    issuer.answers["/.well-known/jwks.json"] = down
    await health.check()
    assert (health.reason, health.ready) == ("stytch: the signing keys cannot be fetched", False)
    issuer.answers = {OAUTH: says({**issuer.metadata(), "issuer": "x"})}
    issuer.clock.forward(5)
    await health.check()
    assert (health.reason, health.ready) == ("stytch: the issuer's metadata names another issuer", True)
    issuer.answers = {}
    await health.check()
    assert health.reason is None


async def test_health_looks_at_every_issuer_and_ready_at_the_first(issuer: FakeIssuer, idp: FakeIssuer) -> None:
    health = health_of(issuer, idp)
    idp.answers[JWKS] = down
    await health.check()
    assert (health.reason, health.ready) == ("oidc: the signing keys cannot be fetched", True)


async def test_asking_for_health_asks_nobody_else(issuer: FakeIssuer, health: Health) -> None:
    assert (health.reason, health.ready) == ("no check within the last minute", False)
    assert not issuer.seen


# WorkOS AuthKit.

AUTHKIT = "https://calm-river-12.authkit.app"
WORKOS_USER = "user_01E4ZCR3C56J083X43JQXF3JK5"
STYTCH_USER = "user-live-33333333-3333-4333-8333-333333333333"
DEFAULTS = ("notes:read",)


@pytest.fixture
def authkit() -> FakeIssuer:
    authkit = FakeIssuer(AUTHKIT)
    authkit.keys = {KEY_ID: rsa_key("authkit")}
    authkit.answers["/oauth2/jwks"] = says({"keys": [public_jwk(rsa_key("authkit"), KEY_ID)]})
    return authkit


def connect_token(authkit: FakeIssuer, **changes: Any) -> str:
    """With the documented claims and no others, unless they are given."""
    absent = dict.fromkeys(("nbf", "client_id", "scope"))
    documented = {"aud": AUDIENCE, "sub": WORKOS_USER, "sid": "app_consent_01"}
    return authkit.token(key=rsa_key("authkit"), **{**absent, **documented, **changes})


def authkit_judge(authkit: FakeIssuer) -> Verifier:
    preset = issuers.workos(AUTHKIT, AUDIENCE, DEFAULTS)
    return Verifier([own(authkit, preset)], now=authkit.now, clock=authkit.clock)


async def authkit_principal(authkit: FakeIssuer, **changes: Any) -> Principal:
    return await authkit_judge(authkit).verify(connect_token(authkit, **changes))


async def test_a_token_with_the_documented_claims_and_no_others(authkit: FakeIssuer) -> None:
    principal = await authkit_principal(authkit)
    assert (principal.subject, principal.client_id, principal.issuer) == (WORKOS_USER, "app_consent_01", AUTHKIT)
    assert not principal.can_step_up, "AuthKit knows no scopes of this server"
    assert authkit.requests[OAUTH] == 0


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"external_id": STYTCH_USER}, STYTCH_USER),
        ({"external_id": ""}, WORKOS_USER),
        ({}, WORKOS_USER),
    ],
    ids=["moved here", "new here, quoted in the template", "new here"],
)
async def test_who_moved_here_stays_the_same_principal(
    authkit: FakeIssuer, changes: dict[str, Any], subject: str
) -> None:
    assert (await authkit_principal(authkit, **changes)).subject == subject


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({}, "notes:read"),
        ({"scope": ""}, "notes:read"),
        ({"scope": "openid offline_access"}, "openid offline_access notes:read"),
        ({"scope": "openid notes:write"}, "openid notes:write"),
        ({"scope": "notes:write", "permissions": ["notes:admin"]}, "notes:write"),
        ({"permissions": ["notes:admin"]}, "notes:admin"),
        ({"permissions": []}, ""),
        ({"permissions": [1, None, "notes:admin"]}, "notes:admin"),
        ({"permissions": "notes:admin"}, "notes:read"),
    ],
    ids=str,
)
async def test_scope_goes_before_permissions_and_those_before_the_default(
    authkit: FakeIssuer, changes: dict[str, Any], scopes: str
) -> None:
    assert (await authkit_principal(authkit, **changes)).scopes == set(scopes.split())


@pytest.mark.parametrize(
    ("changes", "client_id"),
    [({"client_id": "client_01"}, "client_01"), ({"sid": None}, "unknown"), ({"client_id": ""}, "app_consent_01")],
    ids=str,
)
async def test_what_stands_for_the_application(authkit: FakeIssuer, changes: dict[str, Any], client_id: str) -> None:
    assert (await authkit_principal(authkit, **changes)).client_id == client_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": "client_01E4ZCR3C56J083X43JQXF3JK5"}, reasons.WRONG_TOKEN_KIND),
        ({"sub": "user_"}, reasons.WRONG_TOKEN_KIND),
        ({"nonce": "n"}, reasons.WRONG_TOKEN_KIND),
        ({"at_hash": "h"}, reasons.WRONG_TOKEN_KIND),
        ({"scope": ["notes:admin"]}, reasons.WRONG_TOKEN_KIND),
        ({"external_id": 7}, reasons.WRONG_TOKEN_KIND),
        ({"external_id": ["user-live-1"]}, reasons.WRONG_TOKEN_KIND),
        ({"aud": None}, reasons.MISSING_CLAIM),
        ({"aud": "client_01ENVIRONMENT"}, reasons.WRONG_AUDIENCE),
        ({"aud": f"{AUDIENCE}/"}, reasons.WRONG_AUDIENCE),
        ({"iss": f"{AUTHKIT}/"}, reasons.UNKNOWN_ISSUER),
        ({"iss": "https://api.workos.com/user_management/client_01"}, reasons.UNKNOWN_ISSUER),
        ({"exp": None}, reasons.MISSING_CLAIM),
        ({"nbf": 1_800_000_031}, reasons.NOT_YET_VALID),
    ],
    ids=str,
)
async def test_what_is_no_access_token_of_authkit(authkit: FakeIssuer, changes: dict[str, Any], reason: Reason) -> None:
    assert await outcome(authkit_judge(authkit), connect_token(authkit, **changes)) is reason


async def test_a_stytch_user_cannot_come_in_under_the_name_of_another(issuer: FakeIssuer, authkit: FakeIssuer) -> None:
    """The claim that makes a principal at AuthKit means nothing in a token of Stytch, whose templates may carry it."""
    presets = [own(issuer, issuers.stytch(DOMAIN, PROJECT_ID)), own(authkit, issuers.workos(AUTHKIT, AUDIENCE, ()))]
    judge = Verifier(presets, now=issuer.now, clock=issuer.clock)
    assert (await judge.verify(issuer.token(external_id="user-live-somebody-else"))).subject == STYTCH_USER


def test_only_a_stand_in_on_loopback_answers_for_the_api_itself() -> None:
    assert workos_api(AUTHKIT) == "https://api.workos.com"
    assert workos_api("http://127.0.0.1:8003") == "http://127.0.0.1:8003"


# Keycloak: a path in the issuer, and the kind of the token among its claims.

REALM = "https://id.example.org/realms/acme"
CERTS = "/realms/acme/protocol/openid-connect/certs"


@pytest.fixture
def keycloak() -> FakeIssuer:
    """A realm of a version that serves OpenID Connect discovery below its path and nothing else."""
    keycloak = FakeIssuer(REALM)
    keycloak.keys = {KEY_ID: rsa_key("keycloak")}
    configuration = {**keycloak.metadata(), "jwks_uri": f"https://id.example.org{CERTS}"}
    keycloak.answers["/realms/acme/.well-known/openid-configuration"] = says(configuration)
    # One key for signatures, one for encryption, as a realm has them.
    other = {**public_jwk(rsa_key("encryption"), "enc"), "use": "enc", "alg": "RSA-OAEP"}
    keycloak.answers[CERTS] = says({"keys": [other, public_jwk(rsa_key("keycloak"), KEY_ID)]})
    return keycloak


def realm_token(keycloak: FakeIssuer, **changes: Any) -> str:
    shape = {
        "typ": "Bearer",
        "azp": "0b5c8a1e",
        "aud": [AUDIENCE, "account"],
        "sub": "f3a1b2c4-1111-4222-8333-444455556666",
        "scope": "openid email profile notes:read",
        "email": "ada@example.com",
        "email_verified": True,
        "sid": "a-session",
        "realm_access": {"roles": ["offline_access"]},
    }
    return keycloak.token(key=rsa_key("keycloak"), **{"client_id": None, "nbf": None, **shape, **changes})


def realm_judge(keycloak: FakeIssuer) -> Verifier:
    return Verifier([own(keycloak, issuers.oidc(REALM, AUDIENCE))], now=keycloak.now, clock=keycloak.clock)


async def test_an_access_token_of_a_realm(keycloak: FakeIssuer) -> None:
    principal = await realm_judge(keycloak).verify(realm_token(keycloak))
    assert (principal.issuer, principal.client_id) == (REALM, "0b5c8a1e")
    assert principal.emails == {"ada@example.com"}
    assert principal.scopes >= {"notes:read"}
    assert principal.can_step_up


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typ": "ID"}, reasons.WRONG_TOKEN_KIND),
        ({"typ": "Refresh"}, reasons.WRONG_TOKEN_KIND),
        ({"typ": "Offline"}, reasons.WRONG_TOKEN_KIND),
        ({"typ": "Logout"}, reasons.WRONG_TOKEN_KIND),
        ({"typ": ["Bearer"]}, reasons.WRONG_TOKEN_KIND),
        ({"aud": "account"}, reasons.WRONG_AUDIENCE),
        ({"iss": "https://id.example.org/realms/other"}, reasons.UNKNOWN_ISSUER),
        ({"iss": f"{REALM}/"}, reasons.UNKNOWN_ISSUER),
        ({"sub": None}, reasons.MISSING_CLAIM),
    ],
    ids=str,
)
async def test_what_is_no_access_token_of_a_realm(
    keycloak: FakeIssuer, changes: dict[str, Any], reason: Reason
) -> None:
    assert await outcome(realm_judge(keycloak), realm_token(keycloak, **changes)) is reason


async def test_a_realm_is_found_at_the_last_of_the_three_places(keycloak: FakeIssuer) -> None:
    preset, _ = own(keycloak, issuers.oidc(REALM, AUDIENCE))
    assert await IssuerMetadata(preset, keycloak.client, keycloak.clock).check() is None
    assert [request.url.path for request in keycloak.seen] == [
        "/.well-known/oauth-authorization-server/realms/acme",
        "/.well-known/openid-configuration/realms/acme",
        "/realms/acme/.well-known/openid-configuration",
    ]
