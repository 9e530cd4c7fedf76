"""What the sign-in page has to withstand, each attack as somebody would carry it out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from stytch_mcp.app import create_app
from stytch_mcp.signin.authorization import MAX_BYTES, ONCE
from stytch_mcp.signin.cookies import OPEN_SECONDS, Sealer
from stytch_mcp.signin.site import HEADERS
from stytch_mcp_kit.local.state import role_of
from tests import probe
from tests.asgi import request
from tests.runtime.signin import (
    ADA,
    CHALLENGE,
    GRACE,
    PUBLIC_URL,
    REDIRECT,
    SIGNIN_SECRET,
    Person,
    World,
    settings,
    world,
)
from tests.runtime.test_signin_flow import fault

pytestmark = [
    pytest.mark.anyio,
    # Of the SDK's own calls, with aiohttp before 4.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

SUBMIT = "/v1/idp/oauth/authorize"


@cache
def alone() -> Starlette:
    """A server that asks nobody: for what is answered before Stytch is needed."""
    return create_app(settings("http://127.0.0.1:9"), probe.SERVER)


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as started:
        yield started


@pytest.fixture
async def ada(here: World) -> Person:
    """Ada, at the question whether she allows it."""
    person = here.person()
    await person.connect()
    await person.log_in()
    assert person.path.startswith("/oauth/consent/")
    return person


async def post(person: Person, path: str, headers: dict[str, str], **fields: str) -> httpx.Response:
    return await person.http.post(path, data=fields, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "null", "content-type": "text/plain"},
        {"origin": "null", "content-type": "application/json"},
    ],
    ids=str,
)
async def test_a_form_of_another_site_does_nothing(here: World, ada: Person, headers: dict[str, str]) -> None:
    """Even if it knew the secret of the form and its cookies came along."""
    answer = await post(ada, ada.path, headers, csrf=ada.csrf, question=ada.question, decision="allow")
    assert answer.status_code == 403
    assert here.asked(SUBMIT) == 0


@pytest.mark.parametrize("origin", [None, "null", PUBLIC_URL])
async def test_our_own_forms_are_accepted_with_and_without_sec_fetch_site(here: World, origin: str | None) -> None:
    person = here.person()
    del person.http.headers["sec-fetch-site"]
    await person.connect()
    fields = {"csrf": person.csrf, "email": ADA, "kind": "email-code"}
    answer = await post(person, person.path, {"origin": origin} if origin else {}, **fields)
    assert answer.status_code == 303


@pytest.mark.parametrize("csrf", ["", "guessed"])
async def test_a_form_without_its_secret_does_nothing(here: World, ada: Person, csrf: str) -> None:
    for path, fields in {
        ada.path: {"decision": "allow"},
        ada.path.replace("consent", "switch"): {},
        ada.path.replace("consent", "login"): {"email": ADA, "kind": "email-code"},
        ada.path.replace("consent", "sent"): {"action": "resend"},
    }.items():
        answer = await post(ada, path, {"origin": "null"}, csrf=csrf, **fields)
        assert answer.status_code == 403, path
    assert here.asked(SUBMIT) == 0
    assert len(here.project.sessions) == 1


async def test_the_secret_of_another_transaction_does_nothing(here: World, ada: Person) -> None:
    first, question = ada.path, ada.question
    await ada.connect(state="other")
    assert ada.path != first
    answer = await post(ada, first, {"origin": "null"}, csrf=ada.csrf, question=question, decision="allow")
    assert answer.status_code == 403
    assert here.asked(SUBMIT) == 0


async def test_only_who_was_asked_allows(here: World, ada: Person) -> None:
    """Somebody else has logged in in another tab meanwhile: the answer to what Ada saw is none of theirs."""
    path, csrf, question = ada.path, ada.csrf, ada.question
    here.now.forward(1)
    await ada.connect(prompt="login")
    await ada.log_in("kim@example.com")
    await ada.submit(path, csrf=csrf, question=question, decision="allow")
    assert here.asked(SUBMIT) == 0
    assert "Logged in as kim@example.com" in ada.text, "Kim is asked"
    assert await ada.allow()


async def test_only_what_was_shown_is_allowed(here: World, ada: Person) -> None:
    """What the person can grant, or what the application calls itself, has changed since."""
    user = next(user for user in here.project.users.values() if user.email and user.email.address == ADA)
    user.roles = [role for role in user.roles if role != role_of("notes:write")]
    await ada.connect(scope="notes:read notes:write")
    assert "does not have it: Write" in ada.text
    user.roles.append(role_of("notes:write"))
    await ada.submit(decision="allow")
    assert here.asked(SUBMIT) == 0
    assert "does not have it" not in ada.text
    assert await ada.allow()


async def test_cookies_of_two_transactions_cannot_be_swapped(here: World, ada: Person) -> None:
    first = ada.path.rpartition("/")[2]
    await ada.connect(state="other")
    second = ada.path.rpartition("/")[2]
    name = "__Host-signin-t-"
    one, other = ada.http.cookies[name + first], ada.http.cookies[name + second]
    ada.http.cookies.set(name + first, other, domain="notes.example.com", path="/")
    ada.http.cookies.set(name + second, one, domain="notes.example.com", path="/")
    for tx in (first, second):
        assert (await ada.get(f"/oauth/consent/{tx}")).status_code == 400
    session = ada.http.cookies["__Host-signin-s"]
    ada.http.cookies.set(name + first, session, domain="notes.example.com", path="/")
    assert (await ada.get(f"/oauth/consent/{first}")).status_code == 400


async def test_head_decides_nothing(here: World, ada: Person) -> None:
    """A program that looks at addresses before the person does must not use up the answer."""
    await ada.allow()
    path = (await ada.http.get(f"/oauth/authorize?{ada.query()}")).headers["location"]
    before = here.asked(SUBMIT)
    looked = await ada.http.head(path)
    assert (looked.status_code, looked.content, here.asked(SUBMIT)) == (200, b"", before)
    assert (await ada.get(path)).status_code == 200
    assert ada.code


async def test_forged_and_old_cookies_are_nothing(here: World) -> None:
    person = here.person()
    await person.connect()
    tx = person.path.rpartition("/")[2]
    (name,) = [name for name in person.http.cookies if name.endswith(tx)]
    value = person.http.cookies[name]
    foreign = Sealer(["x" * 32], here.now).seal(f"signin-t-{tx}", {"c": "known", "r": None})
    # Not the last character: some of its bits mean nothing.
    changed = ("A" if value[40] != "A" else "B").join((value[:40], value[41:]))
    for bad in ("", "x", value[:-2], changed, foreign, "é", '"' + value):
        answer = await request(
            here.app, "GET", f"/oauth/login/{tx}", headers=[("cookie", f"{name}={bad}".encode().decode("latin-1"))]
        )
        assert answer.status == 400, bad
    assert (await person.get(f"/oauth/login/{tx}")).status_code == 200
    here.now.forward(OPEN_SECONDS + 1)
    answer = await request(here.app, "GET", f"/oauth/login/{tx}", headers=[("cookie", f"{name}={value}")])
    assert answer.status == 400, "a replay after its time"


async def test_cookies_are_bound_to_this_host_and_hidden(here: World, ada: Person) -> None:
    await ada.http.get(f"/oauth/authorize?{ada.query()}")
    answers = [await ada.http.get(f"/oauth/authorize?{ada.query()}")]
    for line in answers[0].headers.get_list("set-cookie"):
        assert line.startswith("__Host-signin-")
        for part in ("HttpOnly", "Path=/", "SameSite=lax", "Secure", "Max-Age=600"):
            assert part in line
        assert "Domain" not in line
    token = next(iter(here.project.sessions.values())).token
    assert token not in str(dict(ada.http.cookies))


async def test_on_http_loopback_cookies_have_neither_prefix_nor_secure() -> None:
    async with world(public_url="http://127.0.0.1:8000") as here:
        answer = await request(here.app, "GET", "/oauth/authorize", host="127.0.0.1:8000", query=here.person().query())
        assert answer.headers["set-cookie"].startswith("signin-t-")
        assert "Secure" not in answer.headers["set-cookie"]


async def test_every_answer_has_the_headers_that_keep_it_safe(here: World, ada: Person) -> None:
    """No framing, no script, nothing from elsewhere, no referrer, nothing kept; not even with an error."""
    paths = ["/oauth/authorize", f"/oauth/authorize?{ada.query()}", ada.path, "/oauth/login/x", "/oauth/callback"]
    paths += ["/oauth/connections", "/oauth/style.css/", "/oauth/", "/oauth/nothing", "/oauth/logout"]
    answers = [await ada.http.get(path) for path in paths]
    assert [(answer.status_code, answer.headers.get("allow")) for answer in answers[-2:]] == [
        (404, None),
        (405, "POST"),
    ]
    answers.append(await post(ada, ada.path, {"origin": "null"}, csrf=ada.csrf, decision="deny"))
    answers.append(await post(ada, ada.path, {"origin": "https://evil.example"}))
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, answer.url
        assert "access-control-allow-origin" not in answer.headers
        assert "<script" not in answer.text
        assert not re.search(r"<[^>]+ (style|on\w+)=", answer.text)
        assert not re.findall(r'(?:src|action)="(?!/oauth/)', answer.text)
    policy = HEADERS["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


async def test_another_origin_reads_no_page_even_if_it_may_call_mcp() -> None:
    async with world(allowed_origins="https://inspector.example.org") as here:
        headers = {"origin": "https://inspector.example.org"}
        person = here.person(headers=headers)
        answer = await person.http.get(f"/oauth/authorize?{person.query()}")
        assert "access-control-allow-origin" not in answer.headers
        assert (await person.http.post("/mcp", json={})).headers["access-control-allow-origin"] == headers["origin"]


MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\r\nX-Injected: 1"


async def test_markup_in_a_name_a_scope_and_a_state_is_text(here: World) -> None:
    client_id = await here.register(client_name=MARKUP)
    here.project.config.scopes["<b>bold</b>"] = MARKUP  # type: ignore[index]
    try:
        person = here.person()
        await person.connect(
            client_id=client_id, scope="notes:read <b>bold</b>", state="<i>\"'&;url=https://evil.example"
        )
        await person.log_in()
        assert person.path.startswith("/oauth/consent/")
        for tag in ("<script", "<img", "<i>", "<b>bold"):
            assert tag not in person.page.text
        assert "x-injected" not in person.page.headers
        assert "<script>alert(1)</script>" in person.text
        await person.submit(decision="deny")
        assert person.destination.startswith(REDIRECT)
        assert person.returned["state"] == ["<i>\"'&;url=https://evil.example"]
        assert "<i>" not in person.page.text
        assert "x-injected" not in person.page.headers
    finally:
        del here.project.config.scopes["<b>bold</b>"]  # type: ignore[attr-defined]


async def test_a_name_cannot_hide_or_reorder_what_stands_beside_it(here: World) -> None:
    client_id = await here.register(client_name="Claude\u202e\u200b\n\n" + "x" * 500)
    person = here.person()
    await person.connect(client_id=client_id)
    await person.log_in()
    assert "\u202e" not in person.page.text
    assert "Claude xxx" in person.text
    assert "x" * 81 not in person.page.text
    nameless = await here.register(client_name="\u200b")
    await person.connect(client_id=nameless)
    assert f"{nameless} wants to use" in person.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "data:text/html,x"),
        ("redirect_uri", "//evil.example/x"),
        ("redirect_uri", "/callback"),
        ("redirect_uri", "https://claude.ai@evil.example/"),
        ("redirect_uri", "https://evil.example\\@claude.ai/"),
        ("redirect_uri", "https://%63laude.ai/"),
        ("redirect_uri", "https://%31%32%37.0.0.1/callback"),
        ("redirect_uri", "https://claude.ai/#fragment"),
        ("redirect_uri", "https://claude.ai/ x"),
        ("redirect_uri", "https:///x"),
        ("redirect_uri", "https://[::1/"),
        ("redirect_uri", "https://claude.ai:port/"),
        ("redirect_uri", "http://evil.example/"),
        ("redirect_uri", "https://cl\u0430ude.ai/"),
        ("redirect_uri", None),
        ("redirect_uri", [REDIRECT, "https://evil.example/"]),
        ("client_id", None),
        ("client_id", ["a", "b"]),
        ("response_type", "token"),
        ("response_type", "code token"),
        ("response_mode", "form_post"),
        ("code_challenge", None),
        ("code_challenge", "short"),
        ("code_challenge", CHALLENGE + "="),
        ("code_challenge_method", "plain"),
        ("code_challenge_method", None),
        ("code_challenge_method", "s256"),
        ("request", "eyJ"),
        ("request_uri", "https://evil.example/request"),
        ("scope", 'a"b'),
        ("scope", "notes:read\\"),
        ("state", "a\r\nSet-Cookie: x=y"),
        ("state", "a\x00b"),
        ("prompt", "none consent"),
        ("scope", " ".join(f"scope-{number}" for number in range(10_000))),
        ("state", "s" * 2801),
        ("nonce", "n" * 2801),
        ("client_id", "https://c.example/" + "c" * 2801),
        ("redirect_uri", "https://claude.ai/" + "r" * 2801),
        ("resource", ["https://a.example/" + "r" * 1400, "https://b.example/" + "r" * 1400]),
    ],
)
async def test_a_wrong_request_is_a_page_that_names_the_parameter(name: str, value: Any) -> None:
    """Before anybody logs in, for every client, without asking Stytch, and never as a redirect."""
    app = alone()
    here = World(app, "", app, None, None, None, None, None, "connected-app-test-1")  # type: ignore[arg-type]
    query = Person(here, app, {}).query(**{name: value})
    answer = await request(app, "GET", "/oauth/authorize", query=query)
    assert answer.status == 400
    assert f"{name} " in answer.body.decode()
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    assert "http-equiv" not in answer.body.decode()
    assert len(answer.body) < 2000


async def test_what_just_fits_is_carried_in_a_cookie_that_fits(here: World) -> None:
    person = here.person()
    rest = {"client_id": here.client_id, "redirect_uri": REDIRECT, "response_type": "code", "scope": "notes:read"}
    rest |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "resource": f"{PUBLIC_URL}/mcp"}
    room = MAX_BYTES - sum(len(json.dumps(value)) for value in rest.values()) - 2
    for state in ("s" * room, '"' * (room // 2), "\u20ac" * (room // 3)):
        await person.connect(state=state)
        for name, value in person.http.cookies.items():
            assert len(name) + len(value) < 4096
    await person.log_in()
    await person.submit(decision="allow")
    assert person.returned["state"] == ["\u20ac" * (room // 3)]
    assert (await person.connect(state="s" * (room + 1))).status_code == 400


async def test_a_large_or_broken_form_is_refused(here: World) -> None:
    person = here.person()
    await person.connect()
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "null"}
    large = await person.http.post(person.path, content=b"a=" + b"x" * 5000, headers=form)
    assert large.status_code == 413
    for body in (b"\xff\xfe", b"a=%ff", b"&".join(b"a%d=1" % number for number in range(20))):
        assert (await person.http.post(person.path, content=body, headers=form)).status_code == 403
    cookies = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
    headers = [("cookie", cookies), ("origin", "null"), ("content-type", form["content-type"])]
    assert (await request(here.app, "POST", person.path, headers=headers, chunks=[])).status == 400


@pytest.mark.parametrize(
    "query", ["", "&&&", "=", "%", "%ff=%fe", "a=" * 200, "client_id=%00", "\xff", "state=" + "%20" * 9000]
)
async def test_a_broken_query_is_a_page(query: str) -> None:
    answer = await request(alone(), "GET", "/oauth/authorize", query=query)
    assert answer.status == 400


NAMES = st.sampled_from([*ONCE, "resource", "unknown", "stytch_token_type", "token"])
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from([REDIRECT, CHALLENGE, "S256", "code", "none", "consent", "notes:read", "magic_links", "oauth"]),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=14), st.sampled_from(["authorize", "callback", "connections"]))
@hypothesis_settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_query_makes_a_5xx(fields: list[tuple[str, str]], page: str) -> None:
    query = urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in fields])
    answer = await request(alone(), "GET", f"/oauth/{page}", query=query)
    assert answer.status in (303, 400)


@given(st.binary(max_size=200))
@hypothesis_settings(deadline=None, max_examples=200)
async def test_no_bytes_make_a_5xx(query: bytes) -> None:
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {"type": "http", "method": "GET", "path": "/oauth/authorize", "query_string": query, "root_path": ""}
    headers = [(b"host", b"notes.example.com")]
    await alone()(
        {**scope, "headers": headers, "scheme": "https", "server": ("x", 1), "http_version": "1.1"}, receive, send
    )
    assert statuses == [400]


async def test_an_admitted_and_a_refused_address_get_the_same_bytes(here: World) -> None:
    """Page, headers, cookies: of one size, and the same but for what is random; on both steps."""
    seen = []
    for address in ("kim@example.com", "kim@elsewhere.e"):
        person = here.person()
        await person.connect()
        fields = {"csrf": person.csrf, "email": address, "kind": "email-code"}
        sent = await post(person, person.path, {"origin": "null"}, **fields)
        page = await person.get(sent.headers["location"])
        fields = {"csrf": person.csrf, "action": "verify", "code": "999999"}
        wrong = await post(person, person.path, {"origin": "null"}, **fields)
        seen.append([shape(answer, address) for answer in (sent, page, wrong)])
        assert wrong.status_code == 422
    assert seen[0] == seen[1]
    assert here.asked("/v1/otps/email/login_or_create") == 1
    assert here.asked("/v1/otps/authenticate") == 2, "the code step takes the same path"
    assert [user for user in here.project.users.values() if user.email and "elsewhere" in user.email.address] == []


def shape(answer: httpx.Response, address: str) -> tuple[Any, ...]:
    """What can be seen of an answer from outside, without what is random."""
    page = re.sub(r"/oauth/(\w+)/[\w-]{16}", r"/oauth/\1/TX", answer.text)
    page = re.sub(r'value="[\w-]{22}"', "CSRF", page).replace(address.partition("@")[2], "DOMAIN")
    headers = {
        name: re.sub(r"[\w-]{16,}", lambda found: f"<{len(found[0])}>", value) for name, value in answer.headers.items()
    }
    return answer.status_code, headers, page, len(answer.content)


async def test_a_refused_address_meets_stytchs_failures_as_well(here: World) -> None:
    person = here.person()
    await person.connect()
    await fault(here, "/v1/users/search", status=500)
    await person.submit(email=GRACE, kind="email-code")
    assert person.page.status_code == 503


async def test_without_a_secret_each_process_has_its_own(here: World) -> None:
    one, other = await here.replica(signin_secret=""), await here.replica(signin_secret="")
    person = here.person(one)
    await person.connect()
    stranger = here.person(other)
    stranger.http.cookies = person.http.cookies
    assert (await stranger.get(person.path)).status_code == 400
    assert SIGNIN_SECRET


@pytest.mark.parametrize(
    "changes", [{"auth_issuers": "oidc", "oidc_issuer": "https://id.example.com"}, {"stytch_secret": None}]
)
async def test_without_stytch_there_is_no_page(changes: dict[str, Any]) -> None:
    app = create_app(settings("http://127.0.0.1:9", **changes), probe.SERVER)
    assert (await request(app, "GET", "/oauth/authorize")).status == 404


async def test_the_stylesheet_is_ours(here: World) -> None:
    answer = await request(here.app, "GET", "/oauth/style.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert b"url(" not in answer.body
    assert b"@import" not in answer.body
