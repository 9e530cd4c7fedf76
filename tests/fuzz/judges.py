"""How an input is handed in at every way in, and what may come of it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import httpx

from stytch_mcp.app import create_app
from stytch_mcp.health import Health
from stytch_mcp.protect import issuers
from stytch_mcp.protect.bearer import BearerToken, BearerTokens
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.policy import AccessPolicy, AccessRules
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.revocation import Revocation
from stytch_mcp.protect.subjects import Subjects, WorkosSubjects
from stytch_mcp.protect.verifier import Verifier
from stytch_mcp.report import in_order
from stytch_mcp.settings import Settings, SettingsError, load
from stytch_mcp_kit.check.challenge import bearer, parse_challenges
from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET, USER_ID, sign
from tests.fuzz import signin
from tests.fuzz.good import MESSAGES
from tests.fuzz.inputs import dumped, lines, octets
from tests.fuzz.server import (
    HOST,
    OIDC_ISSUER,
    SERVER,
    STATIC_TOKEN,
    Request,
    good_token,
    issuer,
    served,
)
from tests.fuzz.subject import Judge, check

REVISIONS = (b"2024-11-05", b"2025-03-26", b"2025-06-18", b"2025-11-25", b"2026-07-28")
HEADERS = {
    b"host": HOST,
    b"authorization": b"Bearer $STATIC",
    b"accept": b"application/json, text/event-stream",
    b"content-type": b"application/json",
    b"mcp-protocol-version": b"2026-07-28",
    b"mcp-method": b"tools/call",
    b"mcp-name": b"echo",
}
# What httptools, in front of the application, lets through (RFC 9110 section 5).
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
CREDENTIALS = (b"authorization", b"cookie", b"cf-access-jwt-assertion")
CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def headers_of(octets_: bytes, words: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Header lines as a server gives them to an application; `words` stand for credentials."""
    pairs = []
    for line in octets_.split(b"\n"):
        name, _, value = line.partition(b":")
        # Nowhere else: whoever sends a token as the name of a host has told it to the log themselves.
        for word, meant in words.items() if name.strip().lower() in CREDENTIALS else ():
            value = value.replace(word, meant)
        pairs.append((name.strip().lower(), CONTROLS.sub(b"", value).strip()))
    return [pair for pair in pairs if NAME.fullmatch(pair[0])]


def credentials() -> dict[bytes, bytes]:
    """What stands for a credential in an input."""
    return {b"$TOKEN": good_token().encode(), b"$STATIC": STATIC_TOKEN.encode()}


def message_headers(**changes: bytes) -> list[tuple[bytes, bytes]]:
    """Those of a good call, with other values for some."""
    given = HEADERS | {name.replace("_", "-").encode(): value for name, value in changes.items()}
    return headers_of(lines(list(given.items()), b":"), credentials())


# Tokens and the header that carries them.


@contextmanager
def tokens() -> Iterator[Judge]:
    with served("text") as server:
        app = server.start()

        def judge(octets_: bytes) -> None:
            token = CONTROLS.sub(b"", octets_)
            headers = [(b"host", HOST), (b"authorization", b"Bearer " + token)]
            answer = server.ask(app, Request("GET", headers=headers))
            let_in = token.strip() in (good_token().encode(), STATIC_TOKEN.encode())
            check(answer.status == (405 if let_in else 401) or answer.status in (401, 403), "only a good token opens")
            check(let_in or answer.status != 405, "nobody is let in without a good token")

        yield judge


@contextmanager
def authorization() -> Iterator[Judge]:
    with served() as server:
        app, behind = server.start(), server.start(auth_mode="cloudflare-access")

        def judge(octets_: bytes) -> None:
            headers = [(b"host", HOST), *headers_of(octets_, credentials())]
            for each in (app, behind):
                answer = server.ask(each, Request("GET", headers=headers))
                check(answer.status in (400, 401, 403, 405, 421), f"GET gets nothing: {answer.status}")

        yield judge


@contextmanager
def claims() -> Iterator[Judge]:
    with served() as server:
        app, behind = server.start(), server.start(auth_mode="cloudflare-access")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()

        def judge(octets_: bytes) -> None:
            token = sign({"alg": "RS256", "kid": next(iter(issuer().keys))}, octets_.decode("utf-8", "replace"))
            changes = message_headers(authorization=f"Bearer {token}".encode(), mcp_protocol_version=b"2025-11-25")
            server.ask(app, Request(headers=changes, body=body))
            server.ask(behind, Request(headers=[*changes, (b"cf-access-jwt-assertion", token.encode())], body=body))

        yield judge


# Requests as a whole.


@contextmanager
def headers() -> Iterator[Judge]:
    with served() as server:
        app = server.start()

        def judge(octets_: bytes) -> None:
            body = dumped(MESSAGES[len(octets_) % 3])
            server.ask(app, Request(headers=headers_of(octets_, credentials()), body=body))

        yield judge


@contextmanager
def targets() -> Iterator[Judge]:
    with served("text") as server:
        app = server.start()

        def judge(octets_: bytes) -> None:
            """Method, path and query, as uvicorn gives them."""
            method, _, target = octets_.decode("latin-1").partition(" ")
            path, _, query = target.partition("?")
            request = Request(method, unquote(path), query.encode("latin-1"), [(b"host", HOST)])
            answer = server.ask(app, request, may=(503,) if path == "/ready" else ())
            check(answer.status != 200 or not path.startswith("/mcp"), "no way to the tools without a token")

        yield judge


@contextmanager
def bodies() -> Iterator[Judge]:
    with served() as server:
        app = server.start()

        def judge(octets_: bytes) -> None:
            """The revision in the first line, the body after it."""
            revision, _, body = octets_.partition(b"\n")
            changes = {"mcp_protocol_version": revision} if revision in REVISIONS else {}
            try:
                message = json.loads(body)
                changes["mcp_method"] = octets(message["method"])
                changes["mcp_name"] = octets(message["params"]["name"])
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                pass
            server.ask(app, Request(headers=message_headers(**changes), body=body))

        yield judge


# What an issuer answers.

DOCUMENTS = {
    b"jwks": "/.well-known/jwks.json",
    b"metadata": "/.well-known/oauth-authorization-server",
    b"oidc": "/.well-known/oauth-authorization-server/tenant",
    b"oidc-jwks": "/tenant/keys",
    b"user": f"/v1/users/{USER_ID}",
    b"workos": f"/user_management/users/{USER_ID}",
    b"apps": f"/v1/users/{USER_ID}/connected_apps",
}


@contextmanager
def documents() -> Iterator[Judge]:
    with served() as server:
        preset, other = issuers.stytch(DOMAIN, PROJECT_ID), issuers.oidc(OIDC_ISSUER, PROJECT_ID)
        tokens_ = [good_token(), issuer().token(iss=OIDC_ISSUER)]

        async def judged(path: str, status: int, body: bytes) -> None:
            def answer(request: httpx.Request) -> Any:
                return httpx.Response(status, content=body) if request.url.path == path else issuer()._answer(request)

            now, clock = issuer().now, issuer().clock
            async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
                known = [(each, IssuerMetadata(each, client, clock)) for each in (preset, other)]
                keys = [(each, Keys(each, metadata, client, clock), metadata) for each, metadata in known]
                health = Health(keys, clock=clock)
                await health.check()
                check(isinstance(health.reason, str | None), "the reason is words")
                verifier = Verifier([(each, theirs) for each, theirs, _ in keys], now=now, clock=clock)
                stytch: dict[str, Any] = {"domain": DOMAIN, "project_id": PROJECT_ID, "secret": SECRET}
                stytch |= {"client": client, "clock": clock}
                policy = AccessPolicy(AccessRules(emails=frozenset({"ada@example.com"})), Subjects(**stytch))
                workos = WorkosSubjects(client, domain=DOMAIN, api_key="sk", clock=clock)
                revocation = Revocation(**stytch, seconds=60, now=now)
                for token in tokens_:
                    try:
                        principal = await verifier.verify(token)
                        await revocation.check(principal)
                        await workos.emails(principal)
                        await policy.admit(principal)
                    except Refused as refused:
                        check(refused.reason.status in (401, 403, 503), "a refusal has its reason")

        def judge(octets_: bytes) -> None:
            """Which document and its status in the first line, its body after it."""
            line, _, body = octets_.partition(b"\n")
            name, _, status = line.partition(b" ")
            code = int(status) if status.isdigit() and len(status) == 3 else 200
            path = DOCUMENTS.get(name, DOCUMENTS[b"jwks"])
            server.loop.run_until_complete(judged(path, max(code, 100), body))
            server.log.take()
            server.issuer.seen.clear()

        yield judge


# The sign-in page.


@contextmanager
def authorize() -> Iterator[Judge]:
    with signin.installed(), served() as server:
        app = server.start()

        def judge(octets_: bytes) -> None:
            answer = server.ask(app, Request("GET", "/oauth/authorize", octets_, [(b"host", HOST)]))
            check(answer.status in (303, 400), f"log in, or what is wrong: {answer.status}")
            location = answer.header(b"location")
            check(not location or location.startswith(b"/oauth/"), "nothing leads away before anybody vouches for it")

        yield judge


@contextmanager
def forms() -> Iterator[Judge]:
    with signin.installed(), served(canaries=(signin.SESSION_TOKEN, "v" * 43)) as server:
        app, words = server.start(), signin.cookies()

        def judge(octets_: bytes) -> None:
            """The method and the path with its query, then header lines, an empty line, the form."""
            head, _, form = octets_.partition(b"\n\n")
            first, _, rest = head.partition(b"\n")
            method, _, target = first.decode("latin-1").partition(" ")
            path, _, query = target.partition("?")
            given = [(b"host", HOST), *headers_of(rest, words)]
            request = Request(method, f"/oauth/{unquote(path)}", query.encode("latin-1"), given, form)
            answer = server.ask(app, request)
            leaves = path.startswith("with/google")
            location = answer.header(b"location")
            check(leaves or not location or location.startswith(b"/oauth/"), "redirects stay here")

        yield judge


# Settings.

SECRETS = ("STYTCH_SECRET", "SIGNIN_SECRET", "WORKOS_API_KEY", "BEARER_TOKENS")


def judged_settings(read: Callable[[], Settings], given: Mapping[str, str]) -> None:
    """Either settings that a server can be made of, or the one report, which names settings and tells no secret."""
    names = {*map(str.upper, in_order(Settings)), ".ENV"}
    try:
        settings = read()
    except SettingsError as error:
        report = error.report("fuzzed")
        check(error.problems, "a report says what is wrong")
        check(all(Path(problem.name).name.upper() in names for problem in error.problems), "a report names settings")
        elsewhere = " ".join(value for name, value in given.items() if name.upper() not in SECRETS)
        for name in SECRETS:
            secret = given.get(name, "")
            check(len(secret) < 16 or secret in elsewhere or secret not in report, f"no {name} in the report")
    else:
        check(all(isinstance(warning, str) for warning in settings.warnings()), "warnings are words")
        create_app(settings, SERVER, client=issuer().client)


@contextmanager
def environment() -> Iterator[Judge]:
    def judge(octets_: bytes) -> None:
        given = {}
        for line in octets_.replace(b"\0", b"").split(b"\n"):
            name, _, value = line.partition(b"=")
            if name:
                given[os.fsdecode(name)] = os.fsdecode(value)
        with mock.patch.dict(os.environ, given, clear=True):
            judged_settings(lambda: load(Settings), given)

    yield judge


@contextmanager
def env_file() -> Iterator[Judge]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, ".env")

        def judge(octets_: bytes) -> None:
            file.write_bytes(octets_)
            with mock.patch.dict(os.environ, {}, clear=True):
                judged_settings(lambda: load(Settings, file), {})

        yield judge


@contextmanager
def bearer_lines() -> Iterator[Judge]:
    def judge(octets_: bytes) -> None:
        text = os.fsdecode(octets_)
        try:
            entry = BearerToken.parse(text)
        except ValueError as error:
            secret = text.partition("|")[2].partition("|")[0].strip()
            shown = len(secret) >= 16 and text.count(secret) == 1 and secret in str(error)
            check(not shown, "what may be a token is not shown")
        else:
            check(BearerToken.parse(str(entry)) == entry, "an entry reads as it is written")
            BearerTokens([entry]).find(text)

    yield judge


@contextmanager
def challenges() -> Iterator[Judge]:
    def judge(octets_: bytes) -> None:
        found = parse_challenges(octets_.decode("latin-1").split("\n"))
        best = bearer(found)
        check(best is None or isinstance(best.scopes, list), "scopes are a list")

    yield judge
