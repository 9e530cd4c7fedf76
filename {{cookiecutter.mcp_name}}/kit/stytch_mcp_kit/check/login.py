"""A client's log-in: registration (RFC 7591), authorization with PKCE (RFC 7636) on loopback (RFC 8252), tokens."""

import base64
import contextlib
import hashlib
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.check.registry import NotApplicable, NotReached
from stytch_mcp_kit.check.walk import Document, Walk, evidence
from stytch_mcp_kit.check.web import Answer, location, parse, split

NAME: Final = "mcp-check (a test client, safe to delete)"
PATH: Final = "/callback"
DONE: Final = "mcp-check has what it needs. You can close this page."

Browse = Callable[[str], Awaitable[None]]
"""Shows an authorization URL to a person."""


@dataclass(frozen=True)
class Session:
    """One log-in. `response` is the authorization response, `tokens` the token response."""

    access_token: str
    client_id: str
    redirect_uri: str
    state: str
    code: str
    verifier: str
    asked_scopes: tuple[str, ...]
    response: dict[str, str]
    answer: Answer
    tokens: dict[str, Any]


@dataclass
class Login:
    """How this run logs in. `browse` None: only where nobody has to be asked. `seconds` is a person's time."""

    browse: Browse | None = None
    seconds: float = 300.0
    client_id: str | None = None
    page: str | None = None
    """Instead of the advertised authorization endpoint: a local issuer's page that asks nobody."""
    scopes: tuple[str, ...] | None = None
    """Instead of those that the server asks for."""

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.bind(("127.0.0.1", 0))
        self.redirect_uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}{PATH}"

    def close(self) -> None:
        self.socket.close()

    async def client(self, walk: Walk) -> str:
        """The client id: given, or by dynamic registration."""
        if self.client_id is not None:
            return self.client_id
        client_id = (await registered(walk, (self.redirect_uri,))).text("client_id")
        if not client_id:
            raise NotReached("no client could be registered; --client-id names one that exists")
        return client_id

    async def __call__(self, walk: Walk) -> Session:
        """Logs in as a client does. Raises NotReached with what stood in the way."""
        client_id = await self.client(walk)
        request = await self.request(walk, client_id)
        response = await self.authorize(walk, request)
        walk.keep_secret(response.get("code"))
        if "code" not in response:
            raise NotReached(f"authorization ended with {response.get('error', 'neither code nor error')}")
        answer = await exchange(walk, client_id, response["code"], request["verifier"], self.redirect_uri)
        tokens, _ = parse(answer.body)
        tokens = tokens if isinstance(tokens, dict) else {}
        walk.keep_secret(*(tokens.get(name) for name in ("access_token", "refresh_token", "id_token")))
        if answer.status != 200 or not isinstance(tokens.get("access_token"), str):
            raise NotReached(f"the token endpoint answered {answer.says} without an access_token")
        return Session(
            access_token=tokens["access_token"],
            client_id=client_id,
            redirect_uri=self.redirect_uri,
            state=request["state"],
            code=response["code"],
            verifier=request["verifier"],
            asked_scopes=tuple(request["scope"].split()),
            response=response,
            answer=answer,
            tokens=tokens,
        )

    async def request(self, walk: Walk, client_id: str, **changes: str | None) -> dict[str, str]:
        """An authorization request, its `verifier` and its `url`; `changes` of None leave a parameter out."""
        verifier = secrets.token_urlsafe(48)
        walk.keep_secret(verifier)
        scope = " ".join(await scopes_to_ask(walk) if self.scopes is None else self.scopes)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope or None,
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": walk.url,
            **changes,
        }
        sent = {name: value for name, value in parameters.items() if value is not None}
        page = self.page or await walk.endpoint("authorization_endpoint")
        separator = "&" if split(page).query else "?"
        return {"url": f"{page}{separator}{urlencode(sent)}", "verifier": verifier, "scope": "", "state": "", **sent}

    async def silently(self, walk: Walk, request: Mapping[str, str]) -> dict[str, str] | None:
        """The authorization response, if it comes without a person."""
        answer = await walk.web.ask("GET", request["url"])
        target = location(answer)
        if answer.status in (302, 303) and target.startswith(request["redirect_uri"]):
            return dict(parse_qsl(urlsplit(target).query))
        return None

    async def authorize(self, walk: Walk, request: Mapping[str, str]) -> dict[str, str]:
        response = await self.silently(walk, request)
        if response is not None:
            return response
        if self.browse is None:
            raise NotReached("the authorization page wants a person: --login opens a browser")
        began = walk.web.clock()
        try:
            return await self.in_browser(request["url"])
        finally:
            walk.web.extra_seconds += walk.web.clock() - began

    async def in_browser(self, url: str) -> dict[str, str]:
        assert self.browse is not None
        landed: dict[str, str] = {}
        arrived = anyio.Event()

        async def callback(request: Request) -> Response:
            landed.update(request.query_params)
            arrived.set()
            return PlainTextResponse(DONE, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})

        app = Starlette(routes=[Route(PATH, callback, methods=["GET"])])
        server = CallbackServer(uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False))
        async with anyio.create_task_group() as tasks:
            self.socket.listen()
            tasks.start_soon(server.serve, [self.socket])
            await self.browse(url)
            with anyio.move_on_after(self.seconds):
                await arrived.wait()
            server.should_exit = True
        if not arrived.is_set():
            raise NotReached(f"nobody logged in within {self.seconds:g} s")
        return landed


class CallbackServer(uvicorn.Server):
    """uvicorn that leaves signals to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def scopes_to_ask(walk: Walk) -> list[str]:
    """Challenge, else metadata, else none; with `offline_access` where it is offered (MCP, "Scope Selection")."""
    scopes = await walk.basic_scopes()
    offered = (await walk.server()).texts("scopes_supported") or []
    return [*scopes, *(["offline_access"] if "offline_access" in offered and "offline_access" not in scopes else [])]


@evidence
async def registered(walk: Walk, redirect_uris: tuple[str, ...]) -> Document:
    """A dynamically registered public client, to be taken away at the end as far as the server lets us."""
    if not (await walk.server()).text("registration_endpoint"):
        raise NotApplicable("the authorization server has no registration_endpoint")
    metadata = {
        "client_name": NAME,
        "redirect_uris": list(redirect_uris),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }
    answer = await walk.web.ask(
        "POST",
        await walk.endpoint("registration_endpoint"),
        headers={"content-type": "application/json", "accept": "application/json"},
        content=json.dumps(metadata).encode(),
    )
    values, flaw = parse(answer.body)
    found = values if isinstance(values, dict) else {}
    walk.keep_secret(found.get("client_secret"), found.get("registration_access_token"))
    if answer.status not in (200, 201):
        flaw = f"answered {answer.says}"
    return Document(answer, found if flaw is None else {}, flaw)


async def exchange(walk: Walk, client_id: str, code: str, verifier: str, redirect_uri: str) -> Answer:
    """The token request (RFC 6749 section 4.1.3), form-encoded."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "resource": walk.url,
    }
    return await walk.web.ask(
        "POST", await walk.endpoint("token_endpoint"), headers={"accept": "application/json"}, form=form
    )


async def refresh(walk: Walk, client_id: str, refresh_token: str) -> Answer:
    """RFC 6749 section 6."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "resource": walk.url,
    }
    return await walk.web.ask(
        "POST", await walk.endpoint("token_endpoint"), headers={"accept": "application/json"}, form=form
    )


async def clean_up(walk: Walk) -> None:
    """Takes away registered clients where RFC 7592 is offered; notes what has to stay."""
    left = []
    for key, found in list(walk.found.items()):
        if key[0] != "registered" or not isinstance(found, Document) or not found.text("client_id"):
            continue
        url, token = found.text("registration_client_uri"), found.text("registration_access_token")
        if url and token:
            answer = await walk.web.ask("DELETE", url, headers={"authorization": f"Bearer {token}"})
            if answer.status in (200, 204):
                continue
        left.append(found.values["client_id"])
    if left:
        names = ", ".join(sorted(set(left)))
        walk.notes.append(f"Registered and still there (the server offers no way to delete it): {names}")
