"""`--probe-stytch`: what Stytch's documentation leaves open, found out on a test project, ready to paste into docs."""

import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
import jwt

from stytch_mcp_kit.check.registry import NotReached, shown
from stytch_mcp_kit.check.walk import BUILT_IN_SCOPES, Walk
from stytch_mcp_kit.check.web import Answer, Web, parse

LOOPBACK: Final = "http://127.0.0.1:33418/callback"
LOCALHOST: Final = "http://localhost:33418/callback"
CURSOR: Final = "cursor://anysphere.cursor-mcp/oauth/callback"
DOCUMENTED: Final = frozenset(
    {"client_id", "client_name", "grant_types", "redirect_uris", "response_types", "token_endpoint_auth_method"}
)
DOCUMENTED_CLAIMS: Final = frozenset({"iss", "sub", "aud", "client_id", "exp", "nbf", "iat", "jti", "scope"})
QUESTIONS: Final = {
    "a": "Does `resource` reach the audience of a token?",
    "b": "What does a registration answer?",
    "c": "What do the discovery documents say?",
    "d": "Which errors does the token endpoint answer?",
    "e": "How long does a code live, and does a spent refresh token have a grace?",
    "f": "Do `localhost` ports match, and may native schemes be registered?",
    "g": "What is in a machine-to-machine token?",
    "h": "What happens to scopes that are unknown or cannot be granted?",
    "i": "Does the authorization response carry `iss` (RFC 9207)?",
}
NOT_ASKED: Final = "not asked"


class CannotProbe(Exception):
    """What is missing, or what stands in the way."""


@dataclass(frozen=True)
class Project:
    """The test project, as its dashboard names it. `code_seconds`: how long a code is left lying before it is tried."""

    HELP: ClassVar[str] = """\
--probe-stytch asks nine open questions of a Stytch *test* project. URL is an MCP server of that project.

Environment:
  STYTCH_PROJECT_ID, STYTCH_SECRET        of the test project (a live project is refused)
  STYTCH_M2M_CLIENT_ID, .._CLIENT_SECRET  optional: a machine-to-machine client, for question (g)
  PROBE_CODE_SECONDS                      optional: try a code only after so many seconds, for question (e)

It writes one user and some clients, and deletes all of them at the end. What it prints is Markdown, without secrets,
tokens and ids."""

    project_id: str
    secret: str
    m2m: tuple[str, str] | None = None
    code_seconds: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises CannotProbe, naming what is missing."""
        missing = [name for name in ("STYTCH_PROJECT_ID", "STYTCH_SECRET") if not environment.get(name)]
        if missing:
            raise CannotProbe(f"--probe-stytch needs {' and '.join(missing)} in the environment. More: --probe-help")
        project_id = environment["STYTCH_PROJECT_ID"]
        if not project_id.startswith("project-test-"):
            raise CannotProbe("--probe-stytch writes users and clients: only a project-test-... project will do")
        client, secret = environment.get("STYTCH_M2M_CLIENT_ID"), environment.get("STYTCH_M2M_CLIENT_SECRET")
        try:
            seconds = float(environment["PROBE_CODE_SECONDS"]) if environment.get("PROBE_CODE_SECONDS") else None
        except ValueError:
            raise CannotProbe("PROBE_CODE_SECONDS is not a number of seconds") from None
        return cls(project_id, environment["STYTCH_SECRET"], (client, secret) if client and secret else None, seconds)


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims_of(token: object) -> dict[str, Any]:
    """The claims of a token that was just issued; nothing is decided by them."""
    try:
        return dict(jwt.decode(str(token), options={"verify_signature": False}))
    except jwt.PyJWTError:
        return {}


@dataclass
class Probe:
    """The project's API, its OAuth endpoints, and what has to be taken away at the end."""

    walk: Walk
    project: Project
    issuer: str
    metadata: dict[str, Any]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    user_id: str = ""
    clients: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """Ids of what could not be deleted."""

    async def api(self, method: str, path: str, **body: Any) -> tuple[Answer, dict[str, Any]]:
        """A call of the backend API, with the project's secret."""
        credentials = f"{self.project.project_id}:{self.project.secret}"
        headers = {
            "authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}",
            "content-type": "application/json",
        }
        content = json.dumps(body).encode() if method in ("POST", "PUT") else None
        answer = await self.walk.web.ask(method, f"{self.issuer}{path}", headers=headers, content=content)
        return answer, values_of(answer)

    async def register(self, *redirect_uris: str) -> tuple[Answer, dict[str, Any]]:
        """A registration; the client is deleted at the end."""
        metadata = {
            "client_name": f"mcp-check probe {secrets.token_hex(4)}",
            "redirect_uris": list(redirect_uris),
            "token_endpoint_auth_method": "none",
        }
        url = self.metadata.get("registration_endpoint")
        if not isinstance(url, str):
            return Answer("", problem="no registration_endpoint is advertised"), {}
        answer = await self.walk.web.ask(
            "POST", url, headers={"content-type": "application/json"}, content=json.dumps(metadata).encode()
        )
        values = values_of(answer)
        if isinstance(values.get("client_id"), str):
            self.clients.append(values["client_id"])
        return answer, values

    async def authorize(self, client_id: str, verifier: str, **changes: Any) -> tuple[Answer, dict[str, Any]]:
        """What a consent page submits for a person who says yes."""
        body = {
            "consent_granted": True,
            "client_id": client_id,
            "redirect_uri": LOOPBACK,
            "response_type": "code",
            "scopes": ["openid", "offline_access"],
            "user_id": self.user_id,
            "state": "mcp-check",
            "code_challenge": s256(verifier),
            **changes,
        }
        return await self.api("POST", "/v1/idp/oauth/authorize", **body)

    async def token(self, client_id: str, **form: str) -> tuple[Answer, dict[str, Any]]:
        url = self.metadata.get("token_endpoint")
        if not isinstance(url, str):
            raise CannotProbe("the metadata names no token_endpoint")
        answer = await self.walk.web.ask("POST", url, form={"client_id": client_id, **form})
        return answer, values_of(answer)

    async def exchanged(self, client_id: str, code: str, verifier: str, **more: str) -> tuple[Answer, dict[str, Any]]:
        form = {"code": code, "code_verifier": verifier, "redirect_uri": LOOPBACK, **more}
        return await self.token(client_id, grant_type="authorization_code", **form)

    async def log_in(
        self, client_id: str, *, resource: str | None = None, **changes: Any
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """The authorization response and the token response. Raises CannotProbe when there is no code."""
        verifier = secrets.token_urlsafe(48)
        answer, submitted = await self.authorize(client_id, verifier, **changes)
        response = dict(parse_qsl(urlsplit(str(submitted.get("redirect_uri", ""))).query))
        if "code" not in response:
            raise CannotProbe(f"authorization answered {said(answer, submitted)}")
        more = {"resource": resource} if resource else {}
        _, tokens = await self.exchanged(client_id, response["code"], verifier, **more)
        return response, tokens

    # Setting up and taking down

    async def begin(self) -> str:
        """A user and a client. Raises CannotProbe."""
        answer, user = await self.api("POST", "/v1/users", email=f"mcp-check-{secrets.token_hex(6)}@example.com")
        if answer.status != 200 or not isinstance(user.get("user_id"), str):
            raise CannotProbe(f"the project's API answered {said(answer, user)}: check the id and the secret")
        self.user_id = user["user_id"]
        answer, client = await self.register(LOOPBACK)
        if not isinstance(client.get("client_id"), str):
            raise CannotProbe(f"no client can be registered ({said(answer, client)}): switch on DCR in the dashboard")
        self.answer("b", f"Status {answer.status}. Members beyond the documented six: {extra(client, DOCUMENTED)}.")
        return str(client["client_id"])

    async def end(self) -> None:
        for client_id in self.clients:
            answer, _ = await self.api("DELETE", f"/v1/connected_apps/clients/{client_id}")
            self.left += [client_id] if answer.status != 200 else []
        if self.user_id:
            answer, _ = await self.api("DELETE", f"/v1/users/{self.user_id}")
            self.left += [self.user_id] if answer.status != 200 else []

    @property
    def leftovers(self) -> str:
        return f"\n\nStill there, delete by hand: {', '.join(self.left)}" if self.left else ""

    def answer(self, letter: str, text: str) -> None:
        self.answers[letter] = f"**({letter}) {QUESTIONS[letter]}** {text}"

    # The questions

    async def audience(self, client_id: str) -> None:
        wishes = {
            "`resources` at authorize": await self.log_in(client_id, resources=[self.walk.url]),
            "`resource` at the token endpoint": await self.log_in(client_id, resource=self.walk.url),
            "neither": await self.log_in(client_id),
        }
        found = [f"{wish}: `{self.shown_audience(tokens)}`" for wish, (_, tokens) in wishes.items()]
        reaches = self.walk.url in str(claims_of(wishes["`resources` at authorize"][1].get("access_token")).get("aud"))
        advice = "STYTCH_AUDIENCE=resource works" if reaches else "STYTCH_AUDIENCE=project is the one that works"
        others = extra(claims_of(wishes["neither"][1].get("access_token")), DOCUMENTED_CLAIMS)
        self.answer("a", f"{'; '.join(found)}. So {advice}. Claims beyond the documented ones: {others}.")
        response = wishes["neither"][0]
        advertised = self.metadata.get("authorization_response_iss_parameter_supported")
        sent = "it does" if "iss" in response else "it does not"
        self.answer(
            "i", f"{sent}; the metadata has authorization_response_iss_parameter_supported: {shown(advertised)}."
        )

    def shown_audience(self, tokens: Mapping[str, Any]) -> str:
        return shown(claims_of(tokens.get("access_token")).get("aud"))

    async def discovery(self) -> None:
        document = await self.walk.document(f"{self.issuer}/.well-known/openid-configuration")
        documents = {"oauth-authorization-server": self.metadata, "openid-configuration": document.values}
        documents = {
            name: {member: value for member, value in values.items() if member != "request_id"}
            for name, values in documents.items()
        }
        text = "".join(
            f"\n\n`{name}`:\n\n```json\n{json.dumps(values, indent=2, sort_keys=True)}\n```"
            for name, values in documents.items()
        )
        flags = {
            name: self.metadata.get(name) for name in ("registration_endpoint", "client_id_metadata_document_supported")
        }
        on = [name for name, value in flags.items() if value]
        self.answer(
            "c",
            f"Advertised now: {', '.join(on) or 'neither way to register'}. Switch DCR and CIMD off in the"
            f" dashboard and run this again for the other answer.{text}",
        )

    async def errors(self, client_id: str) -> None:
        verifier = secrets.token_urlsafe(48)
        _, submitted = await self.authorize(client_id, verifier)
        code = dict(parse_qsl(urlsplit(str(submitted.get("redirect_uri", ""))).query)).get("code", "")
        rows = {
            "unknown code": await self.exchanged(client_id, "mcp-check-unknown", verifier),
            "wrong code_verifier": await self.exchanged(client_id, code, secrets.token_urlsafe(48)),
            "the same code again": await self.exchanged(client_id, code, verifier),
            "unknown client_id": await self.exchanged("connected-app-test-mcp-check", "x", verifier),
            "unknown grant_type": await self.token(client_id, grant_type="urn:mcp-check"),
            "unknown refresh token": await self.token(client_id, grant_type="refresh_token", refresh_token="mcp-check"),
        }
        table = [
            f"| {what} | {answer.says} | `{shown(values.get('error'))}` |" for what, (answer, values) in rows.items()
        ]
        self.answer("d", "\n\n| case | status | error |\n| --- | --- | --- |\n" + "\n".join(table))

    async def lifetimes(self, client_id: str) -> None:
        _, tokens = await self.log_in(client_id)
        refresh = str(tokens.get("refresh_token", ""))
        _, renewed = await self.token(client_id, grant_type="refresh_token", refresh_token=refresh)
        again, values = await self.token(client_id, grant_type="refresh_token", refresh_token=refresh)
        newest = str(renewed.get("refresh_token", ""))
        after, _ = await self.token(client_id, grant_type="refresh_token", refresh_token=newest)
        rotated = "rotated" if newest and newest != refresh else "not rotated"
        spent = said(again, values)
        text = f"Refresh tokens are {rotated}; the spent one at once: {spent}; the newer one then: {after.says}."
        if self.project.code_seconds is None:
            self.answer("e", f"{text} The life of a code: {NOT_ASKED}, set PROBE_CODE_SECONDS.")
            return
        verifier = secrets.token_urlsafe(48)
        _, submitted = await self.authorize(client_id, verifier)
        code = dict(parse_qsl(urlsplit(str(submitted.get("redirect_uri", ""))).query)).get("code", "")
        await self.sleep(self.project.code_seconds)
        self.walk.web.extra_seconds += self.project.code_seconds
        answer, values = await self.exchanged(client_id, code, verifier)
        self.answer("e", f"{text} A code after {self.project.code_seconds:g} s: {said(answer, values)}.")

    async def redirects(self) -> None:
        found = []
        for what, registered, used in (
            ("127.0.0.1", LOOPBACK, LOOPBACK.replace("33418", "40404")),
            ("localhost", LOCALHOST, LOCALHOST.replace("33418", "40404")),
        ):
            _, client = await self.register(registered)
            answer, values = await self.authorize(
                str(client.get("client_id", "")), secrets.token_urlsafe(48), redirect_uri=used
            )
            found.append(f"{what}, another port: {said(answer, values)}")
        for what, uris in (("cursor:// alone", (CURSOR,)), ("cursor:// among others", (LOOPBACK, CURSOR))):
            answer, values = await self.register(*uris)
            found.append(f"{what}: registration {said(answer, values)}")
        self.answer("f", f"{'; '.join(found)}.")

    async def machine(self) -> None:
        if self.project.m2m is None:
            self.answer("g", f"{NOT_ASKED}: set STYTCH_M2M_CLIENT_ID and STYTCH_M2M_CLIENT_SECRET.")
            return
        client_id, secret = self.project.m2m
        answer, tokens = await self.token(client_id, grant_type="client_credentials", client_secret=secret)
        claims = claims_of(tokens.get("access_token"))
        if not claims:
            self.answer("g", f"No token: {said(answer, tokens)}.")
            return
        same = "is the client id" if claims.get("sub") == client_id else "is not the client id"
        self.answer("g", f"Claims: {', '.join(sorted(claims))}; `sub` {same}; `aud`: `{shown(claims.get('aud'))}`.")

    async def scopes(self, client_id: str) -> None:
        answer, values = await self.authorize(
            client_id, secrets.token_urlsafe(48), scopes=["openid", "mcp-check:unknown"]
        )
        text = f"Unknown: {said(answer, values)}."
        known = self.metadata.get("scopes_supported")
        custom = [scope for scope in known if scope not in BUILT_IN_SCOPES] if isinstance(known, list) else []
        if not custom:
            self.answer("h", f"{text} Not grantable: {NOT_ASKED}, the project has no scope of its own.")
            return
        try:
            _, tokens = await self.log_in(client_id, scopes=["openid", *custom])
        except CannotProbe as refused:
            self.answer("h", f"{text} With all custom scopes for a user without roles: {refused}.")
            return
        granted = str(tokens.get("scope", "")).split()
        dropped = [scope for scope in custom if scope not in granted]
        outcome = f"{len(dropped)} were left out in silence" if dropped else "all were granted"
        self.answer("h", f"{text} Of {len(custom)} custom scopes for a user without roles {outcome}.")


def values_of(answer: Answer) -> dict[str, Any]:
    values, _ = parse(answer.body)
    return values if isinstance(values, dict) else {}


def extra(values: Mapping[str, Any], documented: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(set(values) - documented)) or "none"


def said(answer: Answer, values: Mapping[str, Any]) -> str:
    """Status and error type."""
    error = values.get("error_type") or values.get("error")
    return f"{answer.says} `{shown(error)}`" if error else answer.says


async def probe(
    url: str,
    project: Project,
    seconds: float = 10.0,
    deadline_seconds: float = 240.0,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    today: date | None = None,
) -> str:
    """Markdown to paste. Raises CannotProbe. What was written is deleted whatever happens."""
    async with Web(transport=transport, seconds=seconds, deadline_seconds=deadline_seconds) as web:
        walk = Walk(url, web)
        lost = await web.settle(url)
        try:
            if lost is not None:
                raise NotReached(str(lost.problem))
            found = Probe(walk, project, await walk.issuer(), (await walk.server()).values, sleep)
        except NotReached as reason:
            raise CannotProbe(f"the server does not lead to an authorization server: {reason}") from None
        try:
            client_id = await found.begin()
            await found.audience(client_id)
            await found.discovery()
            await found.errors(client_id)
            await found.lifetimes(client_id)
            await found.redirects()
            await found.machine()
            await found.scopes(client_id)
        except CannotProbe as reason:
            await found.end()
            raise CannotProbe(f"{reason}{found.leftovers}") from None
        except BaseException:
            with anyio.CancelScope(shield=True):
                await found.end()
            raise
        await found.end()
    when = today or datetime.now(UTC).date()
    parts = [
        f"## What a Stytch test project answered on {when}",
        *(found.answers[name] for name in sorted(found.answers)),
    ]
    return hidden("\n\n".join(parts) + f"{found.leftovers}\n", project, found)


def hidden(text: str, project: Project, found: Probe) -> str:
    """Without what names the project; the clients and the user are gone anyway."""
    names = {
        project.secret: "<secret>",
        project.project_id: "<project id>",
        found.walk.url: "<MCP URL>",
        found.walk.origin: "<MCP origin>",
        found.issuer: "<issuer>",
    }
    if project.m2m:
        names |= {project.m2m[0]: "<m2m client id>", project.m2m[1]: "<secret>"}
    for name, label in names.items():
        text = text.replace(name, label)
    return text
