"""A local Stytch in this process, and the steps of a client and of a consent page."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.applications import Starlette

from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.keys import new_private_key
from stytch_mcp_kit.local.wire import s256

DOMAIN = "http://127.0.0.1:9100"
PAGE = "https://notes.example.com/oauth/authorize"
SCOPES = {"notes:read": "Read notes", "notes:write": "Write notes"}
REDIRECT = "http://localhost:3000/callback"
VERIFIER = "v" * 64
CONSENT = ["openid", "email", "notes:read"]
RESOURCE = "https://notes.example.com/mcp"


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


class Documents(httpx.AsyncBaseTransport):
    """The web, as far as Stytch fetches client ID metadata documents from it."""

    def __init__(self) -> None:
        self.answers: dict[str, httpx.Response] = {}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if str(request.url) not in self.answers:
            raise httpx.ConnectError("nobody there")
        return self.answers[str(request.url)]


@dataclass
class Local:
    """The stand-in and an HTTP client of it; `api` is the project's backend."""

    app: Starlette
    config: Config
    clock: Clock
    documents: Documents
    http: httpx.AsyncClient

    @property
    def user_id(self) -> str:
        users: dict[str, Any] = self.app.state.project.users
        return next(iter(users))

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        response = await self.http.post(f"/_test/{path}", json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def api(self, path: str, method: str = "POST", **body: Any) -> httpx.Response:
        auth = httpx.BasicAuth(self.config.project_id, self.config.secret)
        return await self.http.request(method, path, json=body if method in {"POST", "PUT"} else None, auth=auth)

    async def register(self, **metadata: Any) -> dict[str, Any]:
        response = await self.http.post("/v1/oauth2/register", json={"redirect_uris": [REDIRECT], **metadata})
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def create_app(self, **fields: Any) -> dict[str, Any]:
        """A pre-registered Connected App."""
        body = {"client_type": "first_party", "redirect_urls": [REDIRECT], **fields}
        response = await self.api("/v1/connected_apps/clients", **body)
        assert response.status_code == 200, response.text
        return dict(response.json()["connected_app"])

    async def submit(self, client_id: str, **fields: Any) -> httpx.Response:
        """The answer of a consent page: yes, unless `fields` say otherwise; None leaves a field out."""
        body = {
            "consent_granted": True,
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scopes": CONSENT,
            "user_id": self.user_id,
            "code_challenge": s256(VERIFIER),
            **fields,
        }
        return await self.api("/v1/idp/oauth/authorize", **{k: v for k, v in body.items() if v is not None})

    async def code(self, client_id: str, **fields: Any) -> str:
        response = await self.submit(client_id, **fields)
        assert response.status_code == 200, response.text
        return str(response.json()["authorization_code"])

    async def token(self, client_id: str, **fields: Any) -> httpx.Response:
        body = {"client_id": client_id, **fields}
        if "code" in fields:
            body = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **body}
        elif "refresh_token" in fields:
            body = {"grant_type": "refresh_token", **body}
        return await self.http.post("/v1/oauth2/token", data={k: v for k, v in body.items() if v is not None})

    async def tokens(self, client_id: str, **fields: Any) -> dict[str, Any]:
        """From consent to tokens."""
        response = await self.token(client_id, code=await self.code(client_id, **fields))
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def introspect(self, client_id: str, token: str, **fields: Any) -> dict[str, Any]:
        body = {"client_id": client_id, "token": token, **fields}
        response = await self.http.post("/v1/oauth2/introspect", data=body)
        assert response.status_code == 200, response.text
        return dict(response.json())


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def query(url: str) -> dict[str, str]:
    return dict(httpx.URL(url).params)


def stytch_error(response: httpx.Response) -> tuple[int, str]:
    """Status and error type of an answer in Stytch's shape."""
    body = response.json()
    assert set(body) == {"status_code", "request_id", "error_type", "error_message", "error_url"}
    assert body["status_code"] == response.status_code
    assert body["request_id"].startswith("request-id-test-")
    return response.status_code, body["error_type"]


def oauth_error(response: httpx.Response) -> tuple[int, str]:
    """Status and error of an answer in OAuth's shape."""
    body = response.json()
    assert set(body) == {"status_code", "request_id", "error", "error_description", "error_uri"}
    return response.status_code, body["error"]


async def consent_required(local: Local, client_id: str, scopes: list[str], **fields: Any) -> bool:
    response = await local.api(
        "/v1/idp/oauth/authorize/start",
        client_id=client_id,
        redirect_uri=REDIRECT,
        response_type="code",
        scopes=scopes,
        **{"user_id": local.user_id, **fields},
    )
    return bool(response.json()["consent_required"])


@pytest.fixture(scope="session")
def signing_key() -> RSAPrivateKey:
    """One key for all tests: making one takes longer than most of them."""
    return new_private_key()


@pytest.fixture
async def local(signing_key: RSAPrivateKey, anyio_backend: str) -> AsyncIterator[Local]:
    clock, documents = Clock(float(int(time.time()))), Documents()
    config = Config(
        domain=DOMAIN,
        authorization_url=PAGE,
        scopes=SCOPES,
        clock=clock,
        signing_key=signing_key,
        cimd_transport=documents,
    )
    app = create_app(config)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=DOMAIN) as http:
        yield Local(app, config, clock, documents, http)
