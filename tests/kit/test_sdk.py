"""The real Stytch SDK against local Stytch: every call the project makes, answered so that the SDK can read it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import jwt
import pytest
import requests
import stytch
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from stytch.consumer.models.otp import AuthenticateResponse
from stytch.consumer.models.sessions import AuthorizationCheck
from stytch.core.response_base import StytchError

from stytch_mcp.protect import issuers
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.verifier import Verifier
from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.config import M2M_CLIENT_ID, M2M_CLIENT_SECRET
from stytch_mcp_kit.local.wire import s256
from tests.kit.conftest import CONSENT, PAGE, REDIRECT, SCOPES, VERIFIER
from tests.servers import running

pytestmark = [
    pytest.mark.e2e,
    # The SDK's own use of aiohttp, which nobody else can mend.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]


@dataclass
class Sdk:
    """The SDK's two clients, and plain HTTP for what the SDK does not do."""

    consumer: stytch.Client
    b2b: stytch.B2BClient
    http: httpx.Client
    config: Config

    def control(self, path: str, **body: object) -> dict[str, str]:
        return dict(self.http.post(f"/_test/{path}", json=body).raise_for_status().json())

    def log_in(self) -> AuthenticateResponse:
        sent = self.consumer.otps.email.login_or_create(email="ada@example.com", expiration_minutes=5)
        return self.consumer.otps.authenticate(method_id=sent.email_id, code="000000", session_duration_minutes=60)

    def exchange(self, client_id: str, code: str) -> dict[str, str]:
        form = {"grant_type": "authorization_code", "client_id": client_id, "code": code, "redirect_uri": REDIRECT}
        response = self.http.post("/v1/oauth2/token", data={**form, "code_verifier": VERIFIER})
        return dict(response.raise_for_status().json())


@pytest.fixture(scope="module")
def sdk(signing_key: RSAPrivateKey) -> Iterator[Sdk]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        domain = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = Config(domain=domain, authorization_url=PAGE, scopes=SCOPES, signing_key=signing_key)
        with (
            running(create_app(config), listening),
            requests.Session() as session,
            httpx.Client(base_url=domain, trust_env=False) as http,
        ):
            session.trust_env = False
            options: dict[str, Any] = {"environment": f"{domain}/", "suppress_warnings": True}
            consumer = stytch.Client(config.project_id, config.secret, sync_session=session, **options)
            b2b = stytch.B2BClient(config.project_id, config.secret, sync_session=session, **options)
            yield Sdk(consumer, b2b, http, config)


def verified(sdk: Sdk, token: str) -> Principal:
    """What the server's own verifier makes of a token."""

    async def verify() -> Principal:
        async with httpx.AsyncClient(trust_env=False) as client:
            issuer = issuers.stytch(sdk.config.domain, sdk.config.project_id)
            keys = Keys(issuer, IssuerMetadata(issuer, client), client)
            return await Verifier([(issuer, keys)]).verify(token)

    return anyio.run(verify)


@pytest.fixture(autouse=True)
def fresh(sdk: Sdk) -> None:
    sdk.control("reset")


@pytest.fixture
def client_id(sdk: Sdk) -> str:
    """A client registered by itself."""
    response = sdk.http.post("/v1/oauth2/register", json={"redirect_uris": [REDIRECT], "client_name": "Inspector"})
    return str(response.json()["client_id"])


def test_log_in_by_code(sdk: Sdk) -> None:
    login = sdk.log_in()
    assert login.session is not None
    assert login.session.authentication_factors[0].type.value == "otp"
    assert login.user.emails[0].email == "ada@example.com"
    local = sdk.consumer.sessions.authenticate_jwt_local(login.session_jwt, leeway=30)
    assert local is not None
    assert local.session_id == login.session.session_id


def test_a_wrong_code_is_a_stytch_error(sdk: Sdk) -> None:
    sent = sdk.consumer.otps.email.login_or_create(email="new@example.com")
    assert sent.user_created
    with pytest.raises(StytchError) as failure:
        sdk.consumer.otps.authenticate(method_id=sent.email_id, code="x")
    assert failure.value.details.error_type == "unable_to_auth_otp_code"
    assert failure.value.details.request_id


def test_log_in_by_link(sdk: Sdk) -> None:
    sdk.consumer.magic_links.email.login_or_create(
        email="ada@example.com", login_magic_link_url="https://notes.example.com/back"
    )
    link = sdk.http.get("/_test/otp", params={"email": "ada@example.com"}).json()["magic_link"]
    login = sdk.consumer.magic_links.authenticate(httpx.URL(link).params["token"], session_duration_minutes=5)
    assert login.session is not None


def test_log_in_by_social(sdk: Sdk) -> None:
    params = {"public_token": sdk.config.public_token, "login_redirect_url": "https://notes.example.com/back"}
    back = sdk.http.get("/v1/public/oauth/google/start", params=params).headers["location"]
    login = sdk.consumer.oauth.authenticate(httpx.URL(back).params["token"], session_duration_minutes=5)
    assert login.user_session is not None
    assert login.provider_type == "Google"


def test_sessions(sdk: Sdk) -> None:
    login = sdk.log_in()
    for name in ("session_token", "session_jwt"):
        found = sdk.consumer.sessions.authenticate(**{name: getattr(login, name)})
        assert found.user.user_id == login.user_id
    sdk.consumer.sessions.revoke(session_token=login.session_token)
    with pytest.raises(StytchError) as failure:
        sdk.consumer.sessions.authenticate(session_token=login.session_token)
    assert failure.value.details.status_code == 404
    assert sdk.consumer.sessions.get_jwks(sdk.config.project_id).keys[0].alg == "RS256"


def test_consent_and_the_tokens_it_leads_to(sdk: Sdk, client_id: str) -> None:
    login = sdk.log_in()
    question: dict[str, Any] = {
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scopes": CONSENT,
    }
    start = sdk.consumer.idp.oauth.authorize_start(**question, session_jwt=login.session_jwt)
    assert start.consent_required
    assert start.client.client_name == "Inspector"
    assert [result.scope for result in start.scope_results] == CONSENT
    given = sdk.consumer.idp.oauth.authorize(
        consent_granted=True,
        **question,
        session_token=login.session_token,
        state="s",
        code_challenge=s256(VERIFIER),
        resources=["https://notes.example.com/mcp"],
    )
    assert given.authorization_code is not None
    assert httpx.URL(given.redirect_uri).params["state"] == "s"
    tokens = sdk.exchange(client_id, given.authorization_code)
    claims = sdk.consumer.idp.introspect_access_token_local(tokens["access_token"])
    assert claims is not None
    assert claims.subject == login.user_id
    ours = verified(sdk, tokens["access_token"])
    assert ours.subject == claims.subject
    assert ours.scopes == set((claims.scope or "").split())
    remote = sdk.consumer.idp.introspect_token_network(tokens["access_token"], client_id=client_id)
    assert remote is not None
    assert remote.scope == "openid email notes:read"
    denied = sdk.consumer.idp.oauth.authorize(
        consent_granted=False, **{**question, "scopes": ["openid"]}, user_id=login.user_id
    )
    assert denied.authorization_code is None
    assert httpx.URL(denied.redirect_uri).params["error"] == "access_denied"


def test_the_scopes_of_a_token_stand_for_permissions(sdk: Sdk) -> None:
    token = sdk.control("mint", scope="notes:read")["token"]
    read, write = [AuthorizationCheck(resource_id="notes", action=action) for action in ("read", "write")]
    assert sdk.consumer.idp.introspect_access_token_local(token, authorization_check=read)
    with pytest.raises(ValueError, match="Permission denied"):
        sdk.consumer.idp.introspect_access_token_local(token, authorization_check=write)
    policy = sdk.consumer.rbac.policy().policy
    assert policy is not None
    assert [scope.scope for scope in policy.scopes] == list(SCOPES)


def test_users_and_their_apps(sdk: Sdk, client_id: str) -> None:
    made = sdk.consumer.users.create(email="kim@example.com", name={"first_name": "Kim"})
    assert sdk.consumer.users.get(made.user_id).emails[0].email == "kim@example.com"
    operand = {"filter_name": "email_address", "filter_value": ["kim@example.com"]}
    query = {"operator": "AND", "operands": [operand]}
    assert [user.user_id for user in sdk.consumer.users.search(query=query).results] == [made.user_id]
    assert len([user for page in sdk.consumer.users.search_all(limit=1) for user in page.results]) == 3
    sdk.consumer.users.update(made.user_id, name={"first_name": "Kimberly"})
    sdk.consumer.idp.oauth.authorize(
        consent_granted=True,
        client_id=client_id,
        redirect_uri=REDIRECT,
        response_type="code",
        scopes=["notes:read"],
        user_id=made.user_id,
        code_challenge=s256(VERIFIER),
    )
    (app,) = sdk.consumer.users.connected_apps(made.user_id).connected_apps
    assert (app.connected_app_id, app.scopes_granted) == (client_id, "notes:read")
    sdk.consumer.users.revoke(made.user_id, client_id)
    assert sdk.consumer.users.connected_apps(made.user_id).connected_apps == []
    sdk.consumer.users.delete(made.user_id)
    with pytest.raises(StytchError) as failure:
        sdk.consumer.users.get(made.user_id)
    assert failure.value.details.error_type == "user_not_found"


def test_connected_apps(sdk: Sdk) -> None:
    clients = sdk.consumer.connected_app.clients
    made = clients.create(client_type="third_party", client_name="One", redirect_urls=[REDIRECT]).connected_app
    assert made.client_secret is not None
    assert made.client_secret_last_four == made.client_secret[-4:]
    clients.update(made.client_id, client_name="Two")
    assert clients.get(made.client_id).connected_app.client_name == "Two"
    assert [app.client_id for app in clients.search().connected_apps] == [made.client_id]
    started = clients.secrets.rotate_start(made.client_id).connected_app
    assert started.next_client_secret[-4:] == started.next_client_secret_last_four
    clients.secrets.rotate_cancel(made.client_id)
    clients.secrets.rotate_start(made.client_id)
    rotated = clients.secrets.rotate(made.client_id).connected_app
    assert rotated.client_secret_last_four != made.client_secret_last_four
    assert clients.delete(made.client_id).client_id == made.client_id
    with pytest.raises(StytchError) as failure:
        clients.get(made.client_id)
    assert failure.value.details.error_type == "connected_app_not_found"


def test_credentials_and_machines(sdk: Sdk) -> None:
    assert sdk.consumer.debug.whoami().project_id == sdk.config.project_id
    token = sdk.consumer.m2m.token(M2M_CLIENT_ID, M2M_CLIENT_SECRET, scopes=["notes:read"]).access_token
    assert sdk.consumer.m2m.authenticate_token(token, required_scopes=["notes:read"]) is not None
    with pytest.raises(StytchError) as failure:
        sdk.consumer.m2m.token(M2M_CLIENT_ID, "wrong")
    assert failure.value.details.status_code == 400
    assert failure.value.details.error_type == "invalid_client_id"


def test_members(sdk: Sdk, client_id: str) -> None:
    seeded = sdk.control("users", email="bo@corp.example", organization="corp")
    organization_id, member_id = seeded["organization_id"], seeded["member_id"]
    found = sdk.b2b.organizations.members.get(organization_id, member_id=member_id)
    assert found.member.email_address == "bo@corp.example"
    assert sdk.b2b.organizations.get(organization_id).organization.organization_slug == "corp"
    question: dict[str, Any] = {
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scopes": CONSENT,
    }
    member: dict[str, Any] = {"organization_id": organization_id, "member_id": member_id}
    assert sdk.b2b.idp.oauth.authorize_start(**question, **member).consent_required
    given = sdk.b2b.idp.oauth.authorize(consent_granted=True, **question, **member, code_challenge=s256(VERIFIER))
    assert given.authorization_code is not None
    token = sdk.exchange(client_id, given.authorization_code)["access_token"]
    claims = sdk.b2b.idp.introspect_access_token_local(token)
    assert claims is not None
    assert claims.organization_claim == {"organization_id": organization_id, "slug": "corp"}
    ours = verified(sdk, token)
    assert (ours.subject, ours.organization) == (member_id, organization_id)
    apps = sdk.b2b.organizations.members.get_connected_apps(organization_id, member_id).connected_apps
    assert [app.connected_app_id for app in apps] == [client_id]
    sdk.b2b.organizations.members.connected_apps.revoke(organization_id, member_id, client_id)
    assert sdk.b2b.rbac.policy().policy is not None


def test_a_member_logs_in_by_every_way_and_consents(sdk: Sdk, client_id: str) -> None:
    seeded = sdk.control("users", email="bo@corp.example", organization="corp", code="000000")
    corp: dict[str, Any] = {"organization_id": seeded["organization_id"]}
    who: dict[str, Any] = {**corp, "email_address": "bo@corp.example"}
    public: dict[str, Any] = {"public_token": sdk.config.public_token, "login_hint": "bo@corp.example"}

    def token_of(url: str) -> str:
        return httpx.URL(url).params["token"]

    def mailed() -> str:
        return token_of(sdk.http.get("/_test/otp", params={"email": "bo@corp.example"}).json()["magic_link"])

    def landed(path: str, **query: str) -> str:
        start = sdk.http.get(f"/v1/b2b/public/oauth/google/{path}", params={**public, **query})
        return token_of(start.headers["location"])

    sent = sdk.b2b.otps.email.login_or_signup(**who)
    assert (sent.member_id, sent.member_created) == (seeded["member_id"], False)
    login = sdk.b2b.otps.email.authenticate(**who, code="000000", session_duration_minutes=60)
    assert login.member_session is not None
    assert login.member_session.organization_slug == "corp"
    assert sdk.b2b.magic_links.email.login_or_signup(**who).member_id == seeded["member_id"]
    assert sdk.b2b.magic_links.authenticate(mailed()).member_authenticated
    oauth = sdk.b2b.oauth.authenticate(landed("start", slug="corp"))
    assert (oauth.provider_type, oauth.organization_id) == ("Google", seeded["organization_id"])

    sdk.b2b.otps.email.discovery.send(email_address="bo@corp.example")
    found = sdk.b2b.otps.email.discovery.authenticate(email_address="bo@corp.example", code="000000")
    assert [each.organization.organization_slug for each in found.discovered_organizations if each.organization] == [
        "corp"
    ]
    intermediate = found.intermediate_session_token
    assert sdk.b2b.discovery.organizations.list(intermediate_session_token=intermediate).email_address == (
        "bo@corp.example"
    )
    made = sdk.b2b.discovery.organizations.create(intermediate_session_token=intermediate, organization_name="Firm")
    assert made.member_authenticated
    sdk.b2b.magic_links.email.discovery.send(email_address="bo@corp.example")
    linked = sdk.b2b.magic_links.discovery.authenticate(mailed())
    exchanged = sdk.b2b.discovery.intermediate_sessions.exchange(linked.intermediate_session_token, **corp)
    assert exchanged.member_id == seeded["member_id"]
    social = sdk.b2b.oauth.discovery.authenticate(landed("discovery/start"))
    assert len(social.discovered_organizations) == 2

    session: dict[str, Any] = {"session_jwt": login.session_jwt}
    local = sdk.b2b.sessions.authenticate_jwt_local(login.session_jwt, leeway=30)
    assert local is not None
    assert local.organization_id == seeded["organization_id"]
    assert sdk.b2b.sessions.authenticate(**session).member.member_id == seeded["member_id"]
    assert len(sdk.b2b.sessions.get(seeded["organization_id"], seeded["member_id"]).member_sessions) == 4
    moved = sdk.b2b.sessions.exchange(made.organization.organization_id, **session)
    assert moved.organization.organization_name == "Firm"
    assert sdk.b2b.sessions.get_jwks(sdk.config.project_id).keys
    question: dict[str, Any] = {
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scopes": CONSENT,
    }
    start = sdk.b2b.idp.oauth.authorize_start(**question, **session)
    assert (start.member_id, start.organization.organization_slug) == (seeded["member_id"], "corp")
    given = sdk.b2b.idp.oauth.authorize(
        consent_granted=True, **question, session_token=login.session_token, code_challenge=s256(VERIFIER)
    )
    assert given.authorization_code is not None
    token = sdk.exchange(client_id, given.authorization_code)["access_token"]
    remote = sdk.b2b.idp.introspect_token_network(token, client_id=client_id)
    assert remote is not None
    assert verified(sdk, token).organization == seeded["organization_id"]
    sdk.b2b.sessions.revoke(member_id=seeded["member_id"])
    with pytest.raises(StytchError) as failure:
        sdk.b2b.sessions.authenticate(**session)
    assert failure.value.details.error_type == "session_not_found"


def test_organizations_and_their_members(sdk: Sdk) -> None:
    organizations = sdk.b2b.organizations
    made = organizations.create(organization_name="Acme", email_allowed_domains=["acme.example"]).organization
    changed = organizations.update(made.organization_id, email_jit_provisioning="RESTRICTED").organization
    assert changed.email_jit_provisioning == "RESTRICTED"
    assert [each.organization_slug for each in organizations.search().organizations] == ["acme"]
    kim = organizations.members.create(made.organization_id, email_address="kim@acme.example", name="Kim")
    assert kim.member.name == "Kim"
    query = {"operator": "AND", "operands": [{"filter_name": "member_emails", "filter_value": ["kim@acme.example"]}]}
    found = organizations.members.search([made.organization_id], query=query)
    assert [member.member_id for member in found.members] == [kim.member_id]
    assert list(found.organizations) == [made.organization_id]
    joined = sdk.b2b.otps.email.login_or_signup(made.organization_id, "new@acme.example")
    assert (joined.member_created, joined.member.status) == (True, "pending")
    organizations.members.delete(made.organization_id, kim.member_id)
    with pytest.raises(StytchError) as failure:
        organizations.members.get(made.organization_id, member_id=kim.member_id)
    assert failure.value.details.error_type == "member_not_found"


def test_the_asynchronous_client_makes_the_same_calls(sdk: Sdk, client_id: str) -> None:
    """What the sign-in page does, and what a server could ask about connections."""
    question: dict[str, Any] = {
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scopes": CONSENT,
    }

    async def log_in_and_consent() -> str:
        client = stytch.Client(
            sdk.config.project_id, sdk.config.secret, environment=sdk.config.domain, suppress_warnings=True
        )
        async with client:
            email, url = "ada@example.com", "https://notes.example.com/back"
            assert [user.emails[0].email async for user in people(client)] == [email, "grace@example.org"]
            sent = await client.otps.email.login_or_create_async(email=email)
            login = await client.otps.authenticate_async(sent.email_id, "000000", session_duration_minutes=60)
            await client.magic_links.email.login_or_create_async(email=email, login_magic_link_url=url)
            link = sdk.http.get("/_test/otp", params={"email": email}).json()["magic_link"]
            linked = await client.magic_links.authenticate_async(httpx.URL(link).params["token"])
            params = {"public_token": sdk.config.public_token, "login_redirect_url": url}
            back = sdk.http.get("/v1/public/oauth/github/start", params=params).headers["location"]
            social = await client.oauth.authenticate_async(httpx.URL(back).params["token"])
            assert login.user_id == linked.user_id == social.user_id
            session: dict[str, Any] = {"session_token": login.session_token}
            assert (await client.sessions.authenticate_async(**session)).user.user_id == login.user_id
            assert len((await client.sessions.get_async(login.user_id)).sessions) == 1
            start = await client.idp.oauth.authorize_start_async(**question, **session)
            assert start.consent_required
            given = await client.idp.oauth.authorize_async(
                consent_granted=True,
                **question,
                **session,
                code_challenge=s256(VERIFIER),
                resources=["https://a.example"],
            )
            (app,) = (await client.users.connected_apps_async(login.user_id)).connected_apps
            assert app.connected_app_id == client_id
            tokens = sdk.exchange(client_id, given.authorization_code or "")
            remote = await client.idp.introspect_token_network_async(tokens["access_token"], client_id=client_id)
            assert remote is not None
            await client.users.revoke_async(login.user_id, client_id)
            assert (await client.users.connected_apps_async(login.user_id)).connected_apps == []
            await client.sessions.revoke_async(**session)
            with pytest.raises(StytchError) as failure:
                await client.sessions.authenticate_async(**session)
            assert failure.value.details.error_type == "session_not_found"
            assert (await client.connected_app.clients.get_async(client_id)).connected_app.client_name == "Inspector"
            assert (await client.debug.whoami_async()).project_id == sdk.config.project_id
            return tokens["access_token"]

    async def people(client: stytch.Client) -> AsyncIterator[Any]:
        async for page in client.users.search_all_async(limit=1):
            for user in page.results:
                yield user

    assert verified(sdk, anyio.run(log_in_and_consent)).client_id == client_id


MEMBER = "bo@corp.example"


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"scope": "openid"},
        {"claims": {"scope": ""}},
        {"resources": ["https://notes.example.com/mcp"]},
        {"claims": {"aud_extra": 1, "ext": {"deep": [1]}}},
        {"claims": {"jti": None}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": None}},
        {"email": MEMBER},
        {"email": MEMBER, "scope": "notes:read notes:write"},
    ],
    ids=str,
)
def test_the_sdk_accepts_what_our_verifier_accepts(sdk: Sdk, wishes: dict[str, Any]) -> None:
    sdk.control("users", email=MEMBER, organization="corp")
    sdk.control("settings", aud_resources="append")
    token = sdk.control("mint", **wishes)["token"]
    ours = verified(sdk, token)
    claims: Any = (sdk.b2b if "email" in wishes else sdk.consumer).idp.introspect_access_token_local(token)
    assert claims is not None
    assert (claims.subject, claims.issuer, claims.expires_at) == (ours.subject, sdk.config.domain, ours.expires_at)
    assert set(claims.scope.split()) == ours.scopes
    assert set(claims.audience) == set(ours.claims["aud"])


@pytest.mark.parametrize("wishes", [{"nbf": 20}, {"iat": 20}, {"exp": -20}, {"aud": None}], ids=str)
def test_where_our_verifier_is_wider_than_the_sdk(sdk: Sdk, wishes: dict[str, int | None]) -> None:
    """Half a minute for clocks that differ, and an audience that is no list (RFC 7519 section 4.1.3)."""
    changed = {
        name: sdk.config.project_id if seconds is None else int(sdk.config.clock()) + seconds
        for name, seconds in wishes.items()
    }
    token = sdk.control("mint", claims=changed)["token"]
    assert verified(sdk, token).subject.startswith("user-")
    try:
        claims = sdk.consumer.idp.introspect_access_token_local(token)
    except ValueError:  # what pydantic raises
        claims = None
    assert claims is None


def test_the_sdk_takes_other_tokens_for_access_tokens(sdk: Sdk) -> None:
    """Why the server does not verify with the SDK: one key set, issuer and audience for every kind of token."""
    machine = sdk.control("mint", kind="m2m")["token"]
    assert sdk.consumer.idp.introspect_access_token_local(machine) is not None
    session = sdk.control("mint", kind="session", claims={"scope": "notes:read"})["token"]
    assert sdk.consumer.idp.introspect_access_token_local(session) is not None
    for token in (machine, session):
        with pytest.raises(Refused):
            verified(sdk, token)
    foreign = sdk.control("mint", key="foreign")["token"]
    assert sdk.consumer.idp.introspect_access_token_local(foreign) is None
    assert jwt.get_unverified_header(foreign)["alg"] == "RS256"
