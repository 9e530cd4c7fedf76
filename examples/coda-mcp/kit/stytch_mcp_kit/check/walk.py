"""The way of a client: what each hop needs from the one before, fetched once, when the first check asks for it."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from itertools import count
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit, urlunsplit

import anyio

from stytch_mcp_kit.check.challenge import Challenge, bearer, parse_challenges
from stytch_mcp_kit.check.messages import LATEST, LEGACY, MODERN, Reply, legacy_body, modern_body, modern_headers
from stytch_mcp_kit.check.registry import Needs, NotApplicable, NotReached
from stytch_mcp_kit.check.web import Answer, Web, parse, split

PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"
BUILT_IN_SCOPES: Final = frozenset({"openid", "profile", "email", "phone", "address", "offline_access"})
GARBAGE: Final = "not.a.token-mcp-check"

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


def evidence(
    fetch: Callable[Concatenate["Walk", Arguments], Coroutine[Any, Any, Found]],
) -> Callable[Concatenate["Walk", Arguments], Coroutine[Any, Any, Found]]:
    """Fetched once per arguments; that it could not be reached is remembered as well."""

    @wraps(fetch)
    async def get(walk: "Walk", /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Found:
        key = (fetch.__name__, repr(arguments), repr(named))
        async with walk.locks[key]:
            if key not in walk.found:
                try:
                    walk.found[key] = await fetch(walk, *arguments, **named)
                except (NotReached, NotApplicable) as error:
                    walk.found[key] = error
        found = walk.found[key]
        if isinstance(found, NotReached | NotApplicable):
            raise type(found)(*found.args)
        return found  # type: ignore[no-any-return]

    return get


@dataclass(frozen=True)
class Document:
    """A JSON object that was asked for; `flaw` says why there is none."""

    answer: Answer
    values: dict[str, Any]
    flaw: str | None

    def text(self, name: str) -> str | None:
        """A member that is a string."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str] | None:
        """A member that is a list, its strings; None when it is no list or not there."""
        value = self.values.get(name)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else None


@dataclass
class Walk:
    """One run against one server. `abilities`: what the run may do beyond looking."""

    given_url: str
    web: Web
    abilities: frozenset[Needs] = frozenset()
    given_token: str | None = None
    given_issuer: str | None = None
    """The authorization server to log in at, whatever the metadata names."""
    redirect_uris: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each client."""
    user_agents: tuple[str, ...] = ()
    """What hosted clients call themselves."""
    secrets: set[str] = field(default_factory=set)
    """Whatever must not be in any output."""
    found: dict[Any, Any] = field(default_factory=dict)
    locks: dict[Any, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Ids of messages: within a session no two may be the same."""
    notes: list[str] = field(default_factory=list)
    """What the run left behind, or what a person should know."""
    log_in: Callable[["Walk"], Awaitable[Any]] | None = None
    mint: Callable[..., Awaitable[str]] | None = None
    """Makes any token, right or wrong, at a local issuer."""

    @property
    def url(self) -> str:
        """As it is asked for: without a fragment, without a user name."""
        parts = urlsplit(self.given_url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def is_local(self) -> bool:
        return self.web.home == "loopback"

    def keep_secret(self, *values: object) -> None:
        self.secrets.update(value for value in values if isinstance(value, str) and len(value) >= 8)

    # Messages to the endpoint

    async def send(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        version: str = LATEST,
        token: str | None = None,
        notification: bool = False,
        headers: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        body: bytes | None = None,
        url: str | None = None,
        verb: str = "POST",
        head_only: bool = False,
    ) -> Reply:
        """One message in the manner of a revision; `headers` are laid over, `without` are left out."""
        modern = version not in LEGACY
        given = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if modern and method:
            given |= modern_headers(version, method, params or {})
        elif method != "initialize":
            given["mcp-protocol-version"] = version
            given |= self.found.get(("session", version), {})
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        given = {name: value for name, value in given.items() if name not in without}
        make = modern_body if modern else legacy_body
        number = None if notification else next(self.numbers)
        content = make(method, params, version, number) if body is None else body
        answer = await self.web.ask(
            verb, url or self.url, headers=given, content=content if verb == "POST" else None, head_only=head_only
        )
        return Reply.read(answer)

    # Without a token

    @evidence
    async def refused(self, version: str = LATEST) -> Answer:
        """The first request of a client: `initialize`, or on 2026-07-28 `server/discover`."""
        method, params = ("server/discover", None) if version not in LEGACY else initialize(version)
        return (await self.send(method, params, version=version)).answer

    async def sound(self) -> None:
        """Raises NotReached unless the first answer is what a server gives that asks for a token, or for none."""
        if (await self.refused()).status not in (200, 401):
            raise NotReached(f"the first request is answered {(await self.refused()).says}")

    @evidence
    async def own_origin(self) -> Answer:
        """The same from a web page of the server's own origin."""
        method, params = initialize()
        return (await self.send(method, params, version=LATEST, headers={"origin": self.origin})).answer

    @evidence
    async def addresses(self) -> list[Any]:
        """Where the host name leads. Raises NotApplicable on loopback."""
        if self.is_local:
            raise NotApplicable("the server is on this machine: hosted clients cannot reach it")
        return await self.web.addresses(self.url)

    @evidence
    async def challenge(self) -> Challenge:
        """The Bearer challenge of the first answer."""
        answer = await self.refused()
        if answer.status != 401:
            raise NotReached("the server did not answer 401 without a token")
        found = bearer(parse_challenges(answer.headers.get_list("www-authenticate")))
        if found is None:
            raise NotReached("the 401 has no Bearer challenge")
        return found

    @evidence
    async def basic_scopes(self) -> list[str]:
        """What a client asks for: the challenge's, else the metadata's (MCP, "Scope Selection Strategy")."""
        try:
            scopes = (await self.challenge()).scopes
        except NotReached:
            scopes = []
        return scopes or (await self.resource()).texts("scopes_supported") or []

    @evidence
    async def bad_token(self) -> Answer:
        """The answer to a token that nobody issued."""
        method, params = initialize()
        return (await self.send(method, params, version=LATEST, token=GARBAGE)).answer

    @evidence
    async def document(self, url: str) -> Document:
        answer = await self.web.get(url)
        values, flaw = parse(answer.body)
        if answer.problem:
            flaw = answer.problem
        elif answer.status != 200:
            flaw = f"answered {answer.status}"
        elif not flaw and not isinstance(values, dict):
            flaw = "no JSON object"
        return Document(answer, values if flaw is None else {}, flaw)

    # Protected resource metadata (RFC 9728)

    @property
    def path_place(self) -> str:
        return f"{self.origin}{PROTECTED_RESOURCE}{self.path.rstrip('/')}"

    @property
    def root_place(self) -> str:
        return f"{self.origin}{PROTECTED_RESOURCE}"

    @evidence
    async def named_place(self) -> str:
        """The URL in the challenge."""
        url = (await self.challenge()).parameters.get("resource_metadata")
        if not url:
            raise NotReached("the challenge names no resource_metadata")
        if not url.lower().startswith(("https://", "http://")):
            raise NotReached("resource_metadata of the challenge is not absolute")
        return url

    @evidence
    async def places(self) -> list[str]:
        """Where a client looks, in its order, each once."""
        try:
            named = [await self.named_place()]
        except NotReached:
            named = []
        return list(dict.fromkeys([*named, self.path_place, self.root_place]))

    @evidence
    async def resource(self) -> Document:
        """The first protected resource metadata that a client finds."""
        for url in await self.places():
            document = await self.document(url)
            if document.flaw is None:
                return document
        raise NotReached("there is no protected resource metadata")

    # The authorization server (RFC 8414)

    @evidence
    async def issuers(self) -> list[str]:
        """What the metadata names, as text."""
        found = (await self.resource()).texts("authorization_servers")
        if not found:
            raise NotReached("the protected resource metadata names no authorization server")
        return found

    @evidence
    async def issuer(self) -> str:
        """The first one: some clients take no other."""
        issuer = self.given_issuer or (await self.issuers())[0]
        if not issuer.lower().startswith(("https://", "http://")) or not split(issuer).hostname:
            raise NotReached("the first authorization server is no URL")
        return issuer

    @evidence
    async def discovery(self) -> list[Document]:
        """The documents at all places a client tries, in its order."""
        return [await self.document(url) for url in discovery_urls(await self.issuer())]

    @evidence
    async def server(self) -> Document:
        """The first authorization server metadata that a client finds."""
        for document in await self.discovery():
            if document.flaw is None:
                return document
        raise NotReached("there is no authorization server metadata")

    async def endpoint(self, name: str) -> str:
        """An endpoint of the authorization server."""
        url = (await self.server()).text(name)
        if not url or not url.lower().startswith(("https://", "http://")):
            raise NotReached(f"the authorization server names no {name}")
        return url

    @evidence
    async def keys(self) -> Document:
        return await self.document(await self.endpoint("jwks_uri"))

    # With a token

    @evidence
    async def session(self) -> Any:
        """What a log-in yielded."""
        if self.log_in is None:
            raise NotReached("nobody logged in")
        return await self.log_in(self)

    @evidence
    async def token(self) -> str | None:
        """A token that should be accepted; None for a server that asks for none."""
        await self.sound()
        if (await self.refused()).status == 200:
            return None
        if self.given_token is not None:
            return self.given_token
        if self.mint is not None:
            return await self.mint()
        if self.log_in is not None:
            return str((await self.session()).access_token)
        raise NotReached("there is no token")

    @evidence
    async def initialized(self, version: str = LATEST) -> Reply:
        """The answer to `initialize`; a session, if the server opens one, is kept for later messages."""
        method, params = initialize(version)
        token = await self.token()
        reply = await self.send(method, params, version=version, token=token)
        if reply.result is None:
            return reply
        session = reply.answer.headers.get("mcp-session-id")
        self.found["session", version] = {"mcp-session-id": session} if session else {}
        if session:
            self.keep_secret(session)
            await self.send("notifications/initialized", version=version, token=token, notification=True)
        return reply

    @evidence
    async def discovered(self) -> Reply:
        return await self.send("server/discover", version=MODERN, token=await self.token())

    @evidence
    async def version(self) -> str:
        """The newest revision that the server speaks."""
        if (await self.discovered()).result is not None:
            return MODERN
        if (await self.initialized()).result is not None:
            return LATEST
        raise NotReached("neither initialize nor server/discover is answered with a result")

    async def modern(self) -> None:
        """Raises NotApplicable for a server of older revisions only."""
        if await self.version() != MODERN:
            raise NotApplicable(f"the server does not speak {MODERN}")

    async def legacy(self) -> None:
        """Raises NotApplicable for a server of 2026-07-28 only."""
        await self.version()
        if (await self.initialized()).result is None:
            raise NotApplicable("the server does not speak the revisions with initialize")

    async def token_or_none(self) -> str | None:
        """The token, or none where there is none to be had."""
        try:
            return await self.token()
        except NotReached:
            return None

    async def request(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Reply:
        """A message with the token, on the newest revision that the server speaks."""
        version = await self.version()
        if version in LEGACY:
            await self.initialized(version)
        return await self.send(method, params, version=version, **{"token": await self.token(), **more})

    @evidence
    async def listed(self, version: str) -> Reply:
        if version in LEGACY:
            await self.initialized(version)
        return await self.send("tools/list", version=version, token=await self.token())

    @evidence
    async def tools(self) -> list[dict[str, Any]]:
        """The tools, all pages of them (at most ten)."""
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(10):
            if cursor is None:
                reply = await self.listed(await self.version())
            else:
                reply = await self.request("tools/list", {"cursor": cursor})
            found = (reply.result or {}).get("tools")
            if not isinstance(found, list):
                raise NotReached(f"tools/list is not answered with tools ({reply.says})")
            tools += [tool for tool in found if isinstance(tool, dict)]
            following = (reply.result or {}).get("nextCursor")
            if not isinstance(following, str):
                break
            cursor = following
        return tools

    @evidence
    async def judged(self, /, **wishes: Any) -> Answer:
        """How the server answers a token that the local issuer made to order (see `local/controls.py`)."""
        if self.mint is None:
            raise NotReached("there is no local issuer")
        return await self.presented(await self.mint(**wishes))

    async def presented(self, token: str, **more: Any) -> Answer:
        """The answer to a harmless request that carries this token."""
        self.keep_secret(token)
        try:
            version = await self.version()
        except NotReached:
            version = LATEST
        return (await self.send("tools/list", version=version, token=token, **more)).answer

    async def repeat(self, headers: list[tuple[str, str]]) -> Answer:
        """tools/list with exactly these headers, of which one may come twice."""
        version = await self.version()
        make = legacy_body if version in LEGACY else modern_body
        session = self.found.get(("session", version), {})
        content = make("tools/list", None, version, next(self.numbers))
        return await self.web.ask("POST", self.url, headers=[*headers, *session.items()], content=content)

    async def goodbye(self) -> None:
        """Ends the sessions that were opened."""
        for key, headers in list(self.found.items()):
            if isinstance(key, tuple) and key[0] == "session" and len(key) == 2 and headers and key[1] in LEGACY:
                await self.send("", version=key[1], token=await self.token(), verb="DELETE", head_only=True)


def initialize(version: str = LATEST) -> tuple[str, dict[str, Any]]:
    """The method and params of a client's first message on the older revisions."""
    info = {"name": "mcp-check", "version": "0.1"}
    return "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": info}


def discovery_urls(issuer: str) -> list[str]:
    """Where clients look for an issuer's metadata, in order (MCP, "Authorization Server Metadata Discovery")."""
    parts = split(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if not path:
        return [f"{base}{AUTHORIZATION_SERVER}", f"{base}{OPENID}"]
    return [f"{base}{AUTHORIZATION_SERVER}{path}", f"{base}{OPENID}{path}", f"{base}{path}{OPENID}"]


def same_kind(walk: Walk, url: str) -> str | None:
    """What is wrong with an URL that a client will be sent to: https, or http while all of it is on loopback."""
    parts = split(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return "is not an absolute http(s) URL"
    if parts.scheme == "http" and not (walk.is_local and is_loopback(parts.hostname or "")):
        # Of the server's own URL that is said once, by a check of its own.
        return None if f"http://{parts.netloc}" == walk.origin else "is not https"
    return None


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
