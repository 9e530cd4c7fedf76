"""The test controls, and that nothing sent to local Stytch is a server error."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import jwt
import pytest
import uvicorn
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.routing import Route

from stytch_mcp_kit.local import Config, Seed, create_app
from stytch_mcp_kit.local.__main__ import main
from stytch_mcp_kit.local.config import M2M_CLIENT_ID
from tests.kit.conftest import DOMAIN, PAGE, Local, claims, oauth_error, stytch_error
from tests.servers import process

pytestmark = pytest.mark.anyio

# Controls


async def test_reset_brings_everything_but_the_keys_to_its_start(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    await local.control("users", email="new@example.com")
    await local.control("clock", offset_seconds=500)
    await local.control("settings", dcr_enabled=False, authorization_url="https://other.example/")
    await local.control("faults", **{"/v1/oauth2/token": {"status": 500}})
    kid = (await local.control("keys/rotate"))["kid"]
    await local.control("reset")
    project = local.app.state.project
    assert [user.email.address for user in project.users.values()] == ["ada@example.com", "grace@example.org"]
    assert (await local.submit(client_id)).status_code == 404
    assert project.now() == local.clock.now
    assert (await local.http.get("/.well-known/oauth-authorization-server")).json()["authorization_endpoint"] == PAGE
    assert "registration_endpoint" in (await local.http.get("/.well-known/oauth-authorization-server")).json()
    assert project.faults == {}
    assert project.keys.current.kid == kid


async def test_keys_rotate_with_or_without_the_old_one(local: Local) -> None:
    old = (await local.control("mint"))["token"]
    one = jwt.get_unverified_header(old)["kid"]
    two = (await local.control("keys/rotate", keep_old=True))["kid"]
    kids = [key["kid"] for key in (await local.http.get("/.well-known/jwks.json")).json()["keys"]]
    assert kids == [two, one]
    previous = (await local.control("mint", key="previous"))["token"]
    assert jwt.get_unverified_header(previous)["kid"] == one
    three = (await local.control("keys/rotate", keep_old=False))["kid"]
    kids = [key["kid"] for key in (await local.http.get("/.well-known/jwks.json")).json()["keys"]]
    assert kids == [three]
    response = await local.http.get("/v1/oauth2/userinfo", headers={"authorization": f"Bearer {old}"})
    assert response.status_code == 401


async def test_any_token_can_be_minted(local: Local, signing_key: RSAPrivateKey) -> None:
    async def mint(**body: Any) -> str:
        return str((await local.control("mint", **body))["token"])

    assert claims(await mint())["scope"] == "openid notes:read notes:write"
    assert (
        claims(await mint(scope="notes:read", client_id="connected-app-test-x"))["client_id"] == "connected-app-test-x"
    )
    assert "https://stytch.com/session" in claims(await mint(kind="session"))
    assert claims(await mint(kind="m2m"))["sub"] == M2M_CLIENT_ID
    assert claims(await mint(kind="id", email="grace@example.org"))["aud"] != [local.config.project_id]
    bent = await mint(claims={"exp": 1, "aud": "x", "sub": None, "iss": 7}, header={"typ": None, "kid": None, "x": 1})
    assert jwt.get_unverified_header(bent) == {"alg": "RS256", "x": 1}
    payload = json.loads(jwt.api_jws.decode(bent, signing_key.public_key(), algorithms=["RS256"]))
    assert (payload["exp"], payload["aud"], payload["iss"]) == (1, "x", 7)
    assert "sub" not in payload
    foreign = await mint(key="foreign")
    assert jwt.get_unverified_header(foreign)["kid"] == jwt.get_unverified_header(await mint())["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(foreign, signing_key.public_key(), algorithms=["RS256"], options={"verify_aud": False})
    assert jwt.get_unverified_header(await mint(key="hs256_public"))["alg"] == "HS256"
    assert (await mint(key="none")).endswith(".")
    for algorithm in ("RS384", "PS256", "ES256"):
        assert jwt.get_unverified_header(await mint(algorithm=algorithm))["alg"] == algorithm


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "x"},
        {"key": "x"},
        {"key": "previous"},
        {"algorithm": "x"},
        {"header": {"kid": 7}},
        {"algorithm": "HS256"},
    ],
)
async def test_what_cannot_be_minted_is_refused(local: Local, body: dict[str, Any]) -> None:
    assert stytch_error(await local.http.post("/_test/mint", json=body)) == (400, "bad_request")


async def test_the_clock_moves_tokens_and_expiry(local: Local) -> None:
    await local.control("clock", offset_seconds=-7200)
    token = (await local.control("mint"))["token"]
    assert claims(token)["exp"] == int(local.clock.now) - 3600
    bearer = {"authorization": f"Bearer {token}"}
    assert (await local.http.get("/v1/oauth2/userinfo", headers=bearer)).status_code == 200
    await local.control("clock", offset_seconds=0)
    assert (await local.http.get("/v1/oauth2/userinfo", headers=bearer)).status_code == 401


async def test_faults_replace_answers_for_so_many_times(local: Local) -> None:
    path = "/.well-known/jwks.json"
    await local.control("faults", **{path: {"status": 503, "times": 2}})
    statuses = [(await local.http.get(path)).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    await local.control("faults", **{"/.well-known/*": {"body": "<html>", "content_type": "text/html"}})
    broken = await local.http.get(path)
    assert (broken.status_code, broken.text, broken.headers["content-type"]) == (
        200,
        "<html>",
        "text/html; charset=utf-8",
    )
    await local.control("faults", **{path: {"body": {"keys": []}}})
    assert (await local.http.get(path)).json() == {"keys": []}, "the exact route wins"
    await local.http.delete("/_test/faults")
    await local.control("faults", **{"*": {"redirect": "https://elsewhere.example/"}})
    moved = await local.http.get(path)
    assert (moved.status_code, moved.headers["location"]) == (302, "https://elsewhere.example/")
    assert (await local.http.delete("/_test/faults")).status_code == 200
    assert (await local.http.get(path)).status_code == 200


async def test_a_fault_without_a_body_speaks_stytchs_words(local: Local) -> None:
    await local.control("faults", **{"*": {"status": 429}})
    assert stytch_error(await local.http.get("/.well-known/jwks.json")) == (429, "too_many_requests")
    assert oauth_error(await local.http.post("/v1/oauth2/token"))[0] == 429


async def test_an_answer_may_be_late(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("stytch_mcp_kit.local.faults.anyio.sleep", wait)
    await local.control("faults", **{"/.well-known/jwks.json": {"latency_seconds": 7.5}})
    assert (await local.http.get("/.well-known/jwks.json")).json()["keys"], "late, and the usual one"
    assert waited == [7.5]


async def test_held_requests_go_on_when_the_faults_are_taken_away(local: Local) -> None:
    answered: list[int] = []

    async def ask() -> None:
        answered.append((await local.http.get("/.well-known/jwks.json")).status_code)

    await local.control("faults", **{"/.well-known/jwks.json": {"hold": True}})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert answered == []
        await local.http.delete("/_test/faults")
    assert answered == [200]


async def test_the_request_log_holds_no_secrets(local: Local) -> None:
    await local.http.get("/.well-known/jwks.json?token=secret")
    await local.api("/v1/otps/email/login_or_create", email="ada@example.com")
    log = (await local.http.get("/_test/requests")).json()["requests"]
    assert log == [
        {"method": "GET", "path": "/.well-known/jwks.json", "status": 200},
        {"method": "POST", "path": "/v1/otps/email/login_or_create", "status": 200},
    ]
    await local.http.delete("/_test/requests")
    assert (await local.http.get("/_test/requests")).json()["requests"] == []


async def test_a_user_is_seeded_instead_of_the_one_with_that_address(local: Local) -> None:
    other = {"email": "ada@other.example", "verified": True}
    made = await local.control("users", email="ada@example.com", verified=False, other_emails=[other])
    assert made["user_id"] != local.user_id
    user = (await local.api(f"/v1/users/{made['user_id']}", "GET")).json()
    assert [(email["email"], email["verified"]) for email in user["emails"]] == [
        ("ada@example.com", False),
        ("ada@other.example", True),
    ]
    assert len(local.app.state.project.users) == 2
    assert (await local.http.delete(f"/_test/users/{made['user_id']}")).status_code == 200
    assert (await local.http.delete(f"/_test/users/{made['user_id']}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users", {"email": "no address"}),
        ("users", {"email": "x@y.example", "scopes": ["notes:delete"]}),
        ("users", {"email": "x@y.example", "other_emails": ["x"]}),
        ("clock", {"offset_seconds": "x"}),
        ("faults", {"*": {"latency": 1}}),
        ("faults", {"*": {"latency_seconds": -1}}),
        ("faults", {"*": {"status": 99}}),
        ("settings", {"unknown": 1}),
        ("settings", {"dcr_enabled": 1}),
        ("settings", {"aud_resources": "x"}),
        ("settings", {"code_seconds": True}),
    ],
)
async def test_wrong_control_bodies_change_nothing(local: Local, path: str, body: dict[str, Any]) -> None:
    before = (await local.http.get("/_test/settings")).json()
    assert stytch_error(await local.http.post(f"/_test/{path}", json=body))[0] == 400
    after = (await local.http.get("/_test/settings")).json()
    assert {**before, "request_id": ""} == {**after, "request_id": ""}


@pytest.mark.parametrize(
    ("controls", "peer", "headers", "status"),
    [
        ("loopback", "127.0.0.1", {}, 200),
        ("loopback", "::1", {"host": "localhost:9100"}, 200),
        ("loopback", "127.0.0.1", {"origin": DOMAIN}, 200),
        ("loopback", "192.0.2.1", {}, 403),
        ("loopback", "127.0.0.1", {"host": "evil.example"}, 403),
        ("loopback", "127.0.0.1", {"origin": "https://evil.example"}, 403),
        ("anyone", "192.0.2.1", {}, 200),
        ("off", "127.0.0.1", {}, 404),
    ],
)
async def test_controls_answer_loopback_only(
    signing_key: RSAPrivateKey, controls: Any, peer: str, headers: dict[str, str], status: int
) -> None:
    app = create_app(Config(domain=DOMAIN, signing_key=signing_key, controls=controls))
    transport = httpx.ASGITransport(app, client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url=DOMAIN) as http:
        assert (await http.get("/_test/settings", headers=headers)).status_code == status


async def test_two_projects_share_nothing(signing_key: RSAPrivateKey) -> None:
    config = Config(domain=DOMAIN, signing_key=signing_key, users=(Seed("a@b.example"),))
    one, two = create_app(config), create_app(config)
    one.state.project.settings.dcr_enabled = False
    one.state.project.users.clear()
    assert two.state.project.settings.dcr_enabled
    assert len(two.state.project.users) == 1


def test_the_stand_in_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append((app, options)))
    result = CliRunner().invoke(main, ["--port", "9200", "--scope", "notes:read"])
    assert "STYTCH_DOMAIN=http://127.0.0.1:9200" in result.output
    ((app, options),) = served
    assert (options["host"], options["port"]) == ("127.0.0.1", 9200)
    assert app.state.project.settings.authorization_url == "http://127.0.0.1:9200/_test/authorize"
    with process("stytch_mcp_kit.local", "--help") as child:
        assert "Run a local stand-in for Stytch on this machine." in child.communicate()[0]


# Bad input


BAD_BODIES: list[tuple[str, bytes]] = [
    ("application/json", b"not json"),
    ("application/json", b"[]"),
    ("application/json", b"[" * 100_000),
    ("application/json", b"\xff\xfe"),
    ("application/json", b'{"client_id": 7, "redirect_uris": {}, "scopes": "x", "token": [], "email": 1, "name": 1}'),
    ("application/json", b'{"query": [], "method_id": {}, "user_id": [], "profile_id": 1, "redirect_urls": [1]}'),
    ("application/x-www-form-urlencoded", b"%ff=%ff&grant_type=%00"),
    ("multipart/form-data; boundary=x", b"--y"),
    ("multipart/form-data", b""),
    ("", b""),
]


@pytest.mark.parametrize(("content_type", "body"), BAD_BODIES)
async def test_bad_input_is_never_a_server_error(local: Local, content_type: str, body: bytes) -> None:
    auth = httpx.BasicAuth(local.config.project_id, local.config.secret)
    for route in local.app.routes:
        assert isinstance(route, Route)
        path = route.path.replace("{project_id}", local.config.project_id)
        for method in (route.methods or set()) - {"HEAD"}:
            response = await local.http.request(
                method, path, content=body, headers={"content-type": content_type}, auth=auth
            )
            assert response.status_code < 500, (method, path)
            if response.status_code >= 400:
                endpoint = path.partition("/oauth2/")[2]
                (oauth_error if endpoint in {"token", "revoke", "introspect"} else stytch_error)(response)


async def test_a_body_that_is_too_large_is_refused(local: Local) -> None:
    response = await local.http.post("/v1/oauth2/register", content=b" " * 300_000)
    assert response.status_code == 413
