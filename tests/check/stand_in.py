"""A server that can do one thing wrong: the real one, behind a transport that bends what goes in or comes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt

from stytch_mcp_kit.check.challenge import parse_challenges
from stytch_mcp_kit.check.walk import GARBAGE

ADDRESSES = {"notes.example.com": "93.184.216.34", "login.example.com": "93.184.216.35"}
"""The public names under which the servers of this machine can be had."""

Before = Callable[["Asked"], "httpx.Response | None"]
After = Callable[["Asked", "Answered"], "httpx.Response | None"]


@dataclass
class Asked:
    """A request on its way; bending it changes what the server sees."""

    site: str
    method: str
    path: str
    query: str
    headers: httpx.Headers
    body: bytes
    world: StandIn

    @property
    def to_mcp(self) -> bool:
        return self.site == "mcp" and self.path.rstrip("/") == "/mcp"

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    @property
    def has_no_token(self) -> bool:
        return self.to_mcp and "authorization" not in self.headers

    @property
    def has_garbage(self) -> bool:
        return self.to_mcp and self.token == GARBAGE

    @property
    def json(self) -> dict[str, Any]:
        try:
            values = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}

    @property
    def rpc(self) -> str | None:
        return self.json.get("method") if self.to_mcp and self.method == "POST" else None

    @property
    def params(self) -> dict[str, Any]:
        return self.json.get("params") or {}

    @property
    def form(self) -> dict[str, str]:
        return dict(httpx.QueryParams(self.body.decode()))

    @property
    def asked_version(self) -> str:
        """The revision of the message: of `initialize` the one in its params, else the header's."""
        return str(self.params.get("protocolVersion") or self.headers.get("mcp-protocol-version", ""))

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the token, if it is a JWT."""
        try:
            return jwt.decode(self.token or "", options={"verify_signature": False})
        except jwt.PyJWTError:
            return {}

    @property
    def header(self) -> dict[str, Any]:
        first = (self.token or "").split(".")[0]
        try:
            values = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    def let_in(self) -> None:
        """Whatever the token is: the server sees a good one."""
        self.headers["authorization"] = f"Bearer {self.world.good_token}"


@dataclass
class Answered:
    """An answer on its way back."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        try:
            values = json.loads(self.body)
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    @property
    def result(self) -> dict[str, Any]:
        return self.json.get("result") or {}

    def say(self, values: Any) -> None:
        self.body = json.dumps(values).encode()

    def challenge(self, **changes: str | None) -> None:
        """The challenge with other parameters; None takes one away."""
        (found,) = parse_challenges(self.headers.get_list("www-authenticate"))
        parameters = {**found.parameters, **changes}
        kept = [f'{name}="{value}"' for name, value in parameters.items() if value is not None]
        self.headers["www-authenticate"] = "Bearer " + ", ".join(kept)


def answer(status: int, values: Any = None, **headers: str) -> httpx.Response:
    """An answer that the real server would not give."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if values is None:
        return httpx.Response(status, headers=named)
    return httpx.Response(status, json=values, headers=named)


@dataclass(frozen=True)
class Fault:
    """What is wrong. `world`: settings of the run, see `StandIn` and `Options`."""

    before: Before | None = None
    after: After | None = None
    world: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Clock:
    """Seconds that pass only when somebody says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class StandIn(httpx.AsyncBaseTransport):
    """The network of one run: the server of `dev`, its local Stytch, and one fault or none.

    `public`: both are had under public names, as behind a tunnel.
    """

    def __init__(
        self, dev: Mapping[str, str], fault: Fault, good_token: str = "", public: bool = False, scheme: str = "https"
    ) -> None:
        self.fault = fault
        self.good_token = good_token
        self.clock = Clock()
        self.memory: dict[str, Any] = {}
        self.real = {"mcp": dev["mcp_url"].removesuffix("/mcp"), "issuer": dev["issuer"]}
        self.public = public
        self.names = {f"{scheme}://notes.example.com": "mcp", "https://login.example.com": "issuer"}
        self.network = httpx.AsyncHTTPTransport(verify=False)

    async def aclose(self) -> None:
        await self.network.aclose()

    async def resolve(self, host: str, port: int) -> list[str]:
        if host in ADDRESSES:
            return [ADDRESSES[host]]
        raise OSError(f"{host} is not in this world")

    def site(self, request: httpx.Request) -> str:
        host = request.url.host
        for name, site in self.names.items():
            if self.public and host in self.addresses(name.partition("://")[2]):
                return site
        port = str(request.url.port)
        return next((site for site, url in self.real.items() if url.endswith(f":{port}")), "nowhere")

    def addresses(self, name: str) -> list[str]:
        return list(self.memory.get("addresses", {}).get(name, [ADDRESSES[name]]))

    def translated(self, data: bytes, *, inwards: bool) -> bytes:
        """The public names for the real ones, or the other way round, as a tunnel would not have to."""
        if self.public:
            for name, site in self.names.items():
                pair = (name.encode(), self.real[site].encode())
                data = data.replace(*(pair if inwards else pair[::-1]))
        return data

    def in_words(self, text: str, *, inwards: bool) -> str:
        return self.translated(text.encode(), inwards=inwards).decode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = Asked(
            self.site(request),
            request.method,
            request.url.path,
            request.url.query.decode(),
            httpx.Headers([(k, v) for k, v in request.headers.multi_items() if k != "content-length"]),
            await request.aread(),
            self,
        )
        if asked.site == "nowhere":
            raise httpx.ConnectError("nobody is there")
        instead = self.fault.before(asked) if self.fault.before else None
        if instead is None:
            answered = await self.ask(asked)
            instead = self.fault.after(asked, answered) if self.fault.after else None
            if instead is None:
                instead = httpx.Response(answered.status, headers=answered.headers, content=answered.body)
        return httpx.Response(instead.status_code, headers=instead.headers, stream=httpx.ByteStream(instead.content))

    async def ask(self, asked: Asked) -> Answered:
        real = self.real[asked.site]
        headers = httpx.Headers([(n, self.in_words(v, inwards=True)) for n, v in asked.headers.multi_items()])
        if self.public:
            headers["host"] = headers["host"].replace("notes.example.com", real.partition("://")[2])
            headers["host"] = headers["host"].replace("login.example.com", real.partition("://")[2])
        query = f"?{asked.query}" if asked.query else ""
        url = self.translated(f"{real}{asked.path}{query}".encode(), inwards=True).decode()
        body = self.translated(asked.body, inwards=True)
        request = httpx.Request(asked.method, url, headers=headers, content=body)
        response = await self.network.handle_async_request(request)
        content = self.translated(await response.aread(), inwards=False)
        await response.aclose()
        given = httpx.Headers(
            [
                (name, self.in_words(value, inwards=False))
                for name, value in response.headers.multi_items()
                if name not in ("content-length", "transfer-encoding")
            ]
        )
        return Answered(response.status_code, given, content)


def encoded(values: Mapping[str, Any]) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()
