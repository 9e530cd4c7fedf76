"""The sign-in page end to end, in this process: the real SDK against local Stytch over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import jwt
import pytest

from stytch_mcp.signin import people
from stytch_mcp.signin import stytch as calls
from stytch_mcp_kit.local.config import Seed
from tests.runtime.signin import ADA, CODE, GRACE, MCP_URL, PUBLIC_URL, REDIRECT, Person, World, world

pytestmark = [
    pytest.mark.anyio,
    # Of the SDK's own calls, with aiohttp before 4.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

START, SUBMIT = "/v1/idp/oauth/authorize/start", "/v1/idp/oauth/authorize"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as started:
        yield started


async def test_from_the_first_screen_to_a_token(here: World) -> None:
    ada = here.person()
    await ada.connect(scope="notes:read notes:write offline_access", nonce="n", state="a b&c=d")
    assert ada.path.startswith("/oauth/login/")
    assert "Log in to connect an application to Probe" in ada.text
    assert "Claude" not in ada.text, "nobody vouches for the name yet"
    await ada.submit(email=ADA, kind="email-code")
    assert "a***@example.com" in ada.text
    await ada.submit(action="verify", code=" 000-000 ")
    assert ada.path.startswith("/oauth/consent/")
    for words in ("Claude wants to use Probe", "Read reads", "Write changes", "claude.ai", ADA, "Stay connected"):
        assert words in ada.text
    code = await ada.allow()
    assert ada.returned["state"] == ["a b&c=d"]
    answer = (await here.token(code)).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["scope"] == "notes:read notes:write offline_access"
    assert answer["refresh_token"]


async def test_every_redirect_after_a_form_is_303(here: World) -> None:
    """A browser that follows 307 or 308 posts the form again (RFC 9700, section 4.12)."""
    ada = here.person()
    followed: list[str] = []

    async def send(path: str, **fields: str) -> None:
        form = {"csrf": ada.csrf, "question": ada.question, **fields}
        answer = await ada.http.post(path, data=form, headers={"origin": "null"})
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/oauth/")
        followed.append(path.removeprefix("/oauth/").partition("/")[0])
        await ada.get(answer.headers["location"])

    await ada.connect()
    await send(ada.path, email=ADA, kind="email-code")
    here.now.forward(30)
    await send(ada.path, action="resend")
    await send(ada.path, action="verify", code=CODE)
    await send(ada.path.replace("consent", "switch"))
    await ada.log_in()
    # Where the answer goes to the application it is a page with a link, and no redirect at all.
    await ada.submit(decision="allow")
    assert ada.page.status_code == 200
    await ada.get("/oauth/connections")
    await send("/oauth/connections", app=here.client_id)
    assert followed == ["login", "sent", "sent", "switch", "connections"]


async def test_everything_is_carried_faithfully(here: World) -> None:
    here.project.settings.aud_resources = "append"
    ada = here.person()
    others = [MCP_URL, "https://other.example.com/mcp"]
    await ada.connect(
        response_type=None, scope="openid notes:read", nonce="the-nonce", resource=others, prompt="consent"
    )
    await ada.log_in()
    answer = (await here.token(await ada.allow())).json()
    access = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert access["aud"][1:] == others
    assert jwt.decode(answer["id_token"], options={"verify_signature": False})["nonce"] == "the-nonce"


async def test_without_a_scope_stytchs_default_is_asked_for(here: World) -> None:
    ada = here.person()
    await ada.connect(scope=None)
    await ada.log_in()
    for words in ("Know who you are", "See your e-mail address", "See your name and picture"):
        assert words in ada.text


async def test_the_second_time_nobody_is_asked(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    first = await ada.allow()
    await ada.connect()
    assert ada.path.startswith("/oauth/consent/")
    assert ada.code != first
    await ada.connect(scope="notes:read notes:write")
    assert "Claude wants to use Probe" in ada.text, "another set of scopes is another question"
    await ada.connect(prompt="consent")
    assert "Claude wants to use Probe" in ada.text


async def test_a_consent_that_was_taken_back_a_moment_ago_gives_nothing(here: World) -> None:
    """Between the question and the answer: then the answer that nobody gave is no."""
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    await ada.allow()
    client = here.project.clients[here.client_id]
    real = calls.Stytch.ask

    async def ask_then_revoke(self: calls.Stytch, *asked: Any) -> calls.Asked:
        answer = await real(self, *asked)
        for user in here.project.users:
            here.project.forget_app(user, client.client_id)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls.Stytch, "ask", ask_then_revoke)
        await ada.connect()
    assert ada.returned["error"] == ["access_denied"]


async def test_deny_goes_back_with_an_error(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    await ada.submit(decision="deny")
    assert ada.returned["error"] == ["access_denied"]
    assert ada.returned["state"] == ["the-state"]
    assert "code" not in ada.returned


async def test_deny_after_allow_in_another_tab_still_denies(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    first, csrf = ada.path, ada.csrf
    await ada.connect()
    await ada.allow()
    await ada.submit(first, csrf=csrf, decision="deny")
    assert ada.returned["error"] == ["access_denied"]


async def test_a_denial_that_stytch_answers_with_a_code_goes_nowhere(here: World) -> None:
    for body in (
        {"redirect_uri": f"{REDIRECT}?code=stolen", "authorization_code": "stolen"},
        {"redirect_uri": f"{REDIRECT}?x=1?code=stolen"},
        {"redirect_uri": f"{REDIRECT}#code=stolen"},
    ):
        ada = here.person()
        await ada.connect()
        await ada.log_in()
        here.project.requests.clear()
        await fault(here, SUBMIT, body={**body, "status_code": 200, "request_id": "r"})
        await ada.submit(decision="deny")
        assert ada.page.status_code == 200
        assert "stolen" not in ada.page.text
        assert "claude.ai" not in ada.page.text
        assert "gets no access" in ada.text


async def test_what_cannot_be_granted_is_shown_and_left_out() -> None:
    users = (Seed("ada@example.com", scopes=("notes:read",), code=CODE),)
    async with world({"users": users}) as here:
        ada = here.person()
        await ada.connect(scope="notes:read notes:write")
        await ada.log_in()
        assert "does not have it: Write" in ada.text
        answer = (await here.token(await ada.allow())).json()
        assert answer["scope"] == "notes:read"
        await ada.connect(scope="notes:read notes:write")
        assert ada.code, "what could be granted was allowed before"
        await ada.connect(scope="notes:write")
        assert "It asks only for what your account does not have" in ada.text
        assert 'value="allow"' not in ada.page.text
        path, csrf = ada.path, ada.csrf
        await ada.submit(path, csrf=csrf, decision="allow")
        assert ada.page.status_code == 400
        await ada.submit(path, csrf=csrf, decision="deny")
        assert ada.returned["error"] == ["access_denied"]


async def test_unknown_scope_words_come_from_stytch(here: World) -> None:
    here.project.config.scopes["other:thing"] = "Stytch's own words"  # type: ignore[index]
    ada = here.person()
    await ada.connect(scope="other:thing notes:read")
    await ada.log_in(ADA)
    assert "Read" in ada.text
    assert "Stytch says" not in ada.text
    del here.project.config.scopes["other:thing"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "٠٠٠٠٠٠"])
async def test_what_is_no_code_costs_no_try(here: World, code: str) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    await ada.submit(action="verify", code=code)
    assert "six digits" in ada.text
    assert here.asked("/v1/otps/authenticate") == 0


async def test_five_wrong_codes_then_a_new_one_is_needed(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    for _ in range(5):
        await ada.submit(action="verify", code="123456")
        assert "wrong or has expired" in ada.text
    await ada.submit(action="verify", code=CODE)
    assert "Too many wrong codes" in ada.text
    assert here.asked("/v1/otps/authenticate") == 5
    await ada.submit(action="resend")
    assert "Wait 30 more seconds" in ada.text
    here.now.forward(30)
    await ada.submit(action="resend")
    assert "Wait" not in ada.text
    await ada.submit(action="verify", code=CODE)
    assert ada.path.startswith("/oauth/consent/")


async def test_a_code_ends_after_ten_minutes(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    here.project.clock_offset = 601
    await ada.submit(action="verify", code=CODE)
    assert "wrong or has expired" in ada.text


async def test_another_address_can_be_used(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email="typo@example.com", kind="email-code")
    back = next(part for part in ada.page.text.split('"') if part.startswith("/oauth/login/"))
    await ada.get(back)
    await ada.log_in()
    assert ada.path.startswith("/oauth/consent/")


@pytest.mark.parametrize(
    "address",
    ["", "ada", "@example.com", "ada@", "a b@example.com", "ada@example.com\n", "<a@b.c>", "a" * 250 + "@b.com"],
)
async def test_what_is_no_address_is_said_so(here: World, address: str) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=address, kind="email-code")
    if address.strip() != ADA:
        assert "not an e-mail address" in ada.text
        assert here.asked("/v1/users/search") == 0


async def test_sends_are_limited_by_address(here: World) -> None:
    for _ in range(5):
        ada = here.person()
        await ada.connect()
        await ada.submit(email=ADA, kind="email-code")
        assert ada.path.startswith("/oauth/sent/")
    await ada.connect()
    await ada.submit(email="ADA@example.com", kind="email-code")
    assert "Too many attempts. Try again in 15 min." in ada.text
    here.clock.forward(900)
    await ada.submit(email=ADA, kind="email-code")
    assert ada.path.startswith("/oauth/sent/")


async def test_sends_and_tries_are_limited_by_client_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (people.MOST_SENDS_FROM, people.MOST_TRIES_FROM) == (20, 50)
    monkeypatch.setattr(people, "MOST_SENDS_FROM", 2)
    monkeypatch.setattr(people, "MOST_TRIES_FROM", 3)
    async with world(trusted_proxies="127.0.0.1") as here:

        async def ask(number: int, address: str) -> Person:
            person = here.person(headers={"x-forwarded-for": address})
            await person.connect()
            await person.submit(email=f"p{number}@example.com", kind="email-link" if number > 8 else "email-code")
            return person

        first, _ = await ask(0, "203.0.113.9"), await ask(1, "203.0.113.9")
        assert "Too many attempts" in (await ask(2, "203.0.113.9")).text
        assert (await ask(2, "203.0.113.10")).path.startswith("/oauth/sent/")
        for _ in range(3):
            await first.submit(action="verify", code="123456")
            assert "wrong" in first.text
        await first.submit(action="verify", code="123456")
        assert "Too many attempts" in first.text
        other = await ask(9, "203.0.113.77")
        for _ in range(3):
            await other.get("/oauth/callback?stytch_token_type=magic_links&token=x")
            assert other.page.status_code == 400
        await other.get("/oauth/callback?stytch_token_type=magic_links&token=x")
        assert (other.page.status_code, "Try again in 15 minutes" in other.text) == (429, True)
        here.clock.forward(899)
        await other.get("/oauth/callback?stytch_token_type=magic_links&token=x")
        assert "Try again in 1 minute." in other.text


async def test_resending_is_limited_too(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    for _ in range(4):
        here.now.forward(30)
        await ada.submit(action="resend")
        assert ada.page.status_code == 200
    here.now.forward(30)
    await ada.submit(action="resend")
    assert "Too many attempts" in ada.text


async def test_a_link_logs_in_where_it_was_asked_for_and_nowhere_else(here: World) -> None:
    ada, other = here.person(), here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-link")
    assert "We sent a link" in ada.text
    link = (await here.mailed(ADA))["magic_link"].removeprefix(PUBLIC_URL)
    await other.get(link)
    assert other.page.status_code == 400
    assert "where you asked for it" in other.text
    assert here.asked("/v1/magic_links/authenticate") == 0, "it is not used up"
    await ada.submit(action="verify", code=CODE)
    assert ada.page.status_code == 422, "a link has no code"
    await ada.get(link)
    assert ada.path.startswith("/oauth/consent/")
    assert await ada.allow()
    await ada.connect(prompt="login")
    await ada.get(link)
    assert ada.page.status_code == 400, "there is no log-in left that it could be for"


async def test_a_link_that_was_used_leads_back_to_the_first_screen(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-link")
    await ada.get("/oauth/callback?stytch_token_type=magic_links&token=made-up")
    assert "That log-in is over" in ada.text
    assert "/oauth/login/" in ada.page.text


async def test_a_link_finds_the_tab_of_its_address(here: World) -> None:
    person = here.person()
    await person.connect(state="first")
    await person.submit(email=ADA, kind="email-link")
    here.now.forward(1)
    await person.connect(state="second")
    await person.submit(email="kim@example.com", kind="email-link")
    await person.get((await here.mailed(ADA))["magic_link"].removeprefix(PUBLIC_URL))
    await person.allow()
    assert person.returned["state"] == ["first"]


@pytest.mark.parametrize("provider", ["google", "github"])
async def test_another_provider_logs_in(here: World, provider: str) -> None:
    ada = here.person()
    await ada.connect()
    start = next(part for part in ada.page.text.split('"') if f"/with/{provider}/" in part)
    away = await ada.http.get(start)
    assert away.headers["location"].startswith(f"{here.domain}/v1/public/oauth/{provider}/start?")
    back = (await here.stytch.get(away.headers["location"])).headers["location"]
    assert back.startswith(f"{PUBLIC_URL}/oauth/callback?")
    await here.person().get(back.removeprefix(PUBLIC_URL))
    await ada.get(back.removeprefix(PUBLIC_URL))
    assert ada.path.startswith("/oauth/consent/")
    assert await ada.allow()


async def test_a_log_in_of_somebody_elses_is_not_taken_over(here: World) -> None:
    """Log-in CSRF: a token that another browser, or no page of ours, asked for."""
    eve, ada = here.person(), here.person()
    await eve.connect()
    start = next(part for part in eve.page.text.split('"') if "/with/google/" in part)
    away = (await eve.http.get(start)).headers["location"]
    hers = (await here.stytch.get(away)).headers["location"]
    bare = away.partition("&code_challenge")[0]
    plain = (await here.stytch.get(bare)).headers["location"]
    await ada.connect()
    start = next(part for part in ada.page.text.split('"') if "/with/google/" in part)
    await ada.http.get(start)
    for planted in (hers, plain):
        await ada.get(planted.removeprefix(PUBLIC_URL))
        assert "That log-in is over" in ada.text


async def test_a_provider_that_is_switched_off_is_not_there() -> None:
    async with world(signin_methods="email-code") as here:
        ada = here.person()
        await ada.connect()
        assert "Google" not in ada.text
        assert "link" not in ada.text
        tx = ada.path.rpartition("/")[2]
        await ada.get(f"/oauth/with/google/{tx}")
        assert ada.page.status_code == 400
        await ada.connect()
        await ada.submit(email=ADA, kind="email-link")
        assert ada.page.status_code == 400
    async with world(signin_methods="google") as here:
        ada = here.person()
        await ada.connect()
        assert "E-mail" not in ada.text
        assert "Continue with Google" in ada.text


async def test_a_person_whom_no_rule_admits_gets_nothing(here: World) -> None:
    here.project.settings.auto_login = GRACE
    grace = here.person()
    await grace.connect()
    start = next(part for part in grace.page.text.split('"') if "/with/google/" in part)
    away = await grace.http.get(start)
    back = (await here.stytch.get(away.headers["location"])).headers["location"]
    await grace.get(back.removeprefix(PUBLIC_URL))
    assert (grace.path, grace.page.status_code) == ("/oauth/callback", 403), "before there is a session here"
    assert "You are not admitted here" in grace.text
    assert "Use another account" in grace.text
    assert not here.project.sessions, "logged out at Stytch too"
    assert here.asked(SUBMIT) == 0


async def test_a_person_who_is_no_longer_admitted_is_stopped_at_consent(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    strict = await here.replica(allowed_email_domains="example.net")
    later = here.person(strict)
    later.http.cookies = ada.http.cookies
    await later.connect()
    assert later.page.status_code == 403
    assert not here.project.sessions
    assert here.asked(SUBMIT) == 0


@pytest.mark.parametrize("rules", [{"allowed_users": "user-live-1"}, {"allowed_organizations": "organization-live-1"}])
async def test_without_rules_about_addresses_nobody_is_created(rules: dict[str, Any]) -> None:
    async with world(allowed_email_domains="", **rules) as here:
        before = set(here.project.users)
        person = here.person()
        await person.connect()
        await person.submit(email="new@example.com", kind="email-code")
        assert person.path.startswith("/oauth/sent/")
        assert set(here.project.users) == before
        assert here.asked("/v1/otps/email/login_or_create") == 0


async def test_a_user_who_is_named_gets_a_code() -> None:
    async with world(allowed_email_domains="") as here:
        ada_id = next(key for key, user in here.project.users.items() if user.email and user.email.address == ADA)
        named = await here.replica(allowed_email_domains="", allowed_users=ada_id)
        ada = here.person(named)
        await ada.connect()
        await ada.log_in()
        assert await ada.allow()


async def test_a_session_that_ended_means_logging_in_again(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    here.project.sessions.clear()
    await ada.submit(decision="allow")
    assert ada.path.startswith("/oauth/login/")
    await ada.log_in()
    assert await ada.allow()


async def test_logging_out_twice_is_no_mistake(here: World) -> None:
    """In another tab, or at Stytch."""
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    switch, csrf = ada.path.replace("consent", "switch"), ada.csrf
    here.project.sessions.clear()
    for _ in range(2):
        await ada.submit(switch, csrf=csrf)
        assert ada.path.startswith("/oauth/login/")


async def test_two_first_visitors_share_one_import(here: World) -> None:
    both = [here.person(), here.person()]
    for person in both:
        await person.connect()
    async with anyio.create_task_group() as tasks:
        for number, person in enumerate(both):
            tasks.start_soon(partial(person.submit, email=f"p{number}@example.com", kind="email-code"))
    assert [person.path.startswith("/oauth/sent/") for person in both] == [True, True]


async def test_an_account_can_be_changed(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    tx = ada.path.rpartition("/")[2]
    await ada.submit(f"/oauth/switch/{tx}")
    assert ada.path == f"/oauth/login/{tx}"
    assert not here.project.sessions
    await ada.log_in("kim@example.com")
    assert "Logged in as kim@example.com" in ada.text


async def test_prompt_login_asks_again_once(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    here.now.forward(5)
    await ada.connect(prompt="login")
    assert ada.path.startswith("/oauth/consent/") is False
    await ada.log_in()
    assert ada.path.startswith("/oauth/consent/")


async def test_prompt_none_shows_no_question(here: World) -> None:
    ada = here.person()
    await ada.connect(prompt="none")
    assert "you are not logged in" in ada.text
    await ada.connect()
    await ada.log_in()
    await ada.connect(prompt="none")
    assert "you have not allowed it yet" in ada.text
    await ada.connect()
    await ada.allow()
    await ada.connect(prompt="none")
    assert ada.code


async def test_a_transaction_ends_after_ten_minutes(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    here.now.forward(601)
    await ada.submit(decision="allow")
    assert "This request is closed" in ada.text
    assert here.asked(SUBMIT) == 0


async def test_an_answered_transaction_gives_no_other_code(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    path, form, cookies = ada.path, {"csrf": ada.csrf, "question": ada.question}, dict(ada.http.cookies)
    await ada.allow()
    await ada.submit(path, **form, decision="allow")
    assert ada.page.status_code == 400
    # The cookies as they were before.
    for name, value in cookies.items():
        ada.http.cookies.set(name, value, domain="notes.example.com", path="/")
    await ada.submit(path, **form, decision="allow")
    assert "This request is closed" in ada.text
    await ada.get(path)
    assert "This request is closed" in ada.text
    assert here.asked(SUBMIT) == 1


async def test_at_most_five_are_open(here: World) -> None:
    ada = here.person()
    paths = []
    for _ in range(6):
        await ada.connect()
        paths.append(ada.path)
        here.now.forward(1)
    open_ones = [path for path in paths if (await ada.get(path)).status_code == 200]
    assert open_ones == paths[1:]


async def test_stytch_being_down_is_said_and_can_be_tried_again(here: World) -> None:
    ada = here.person()
    await ada.connect()
    path, csrf = ada.path, ada.csrf
    await fault(here, "/v1/users/search", status=500)
    await ada.submit(email=ADA, kind="email-code")
    assert ada.page.status_code == 503
    assert "out of order" in ada.text
    await fault(here, "/v1/users/search", status=429)
    await ada.submit(path, csrf=csrf, email=ADA, kind="email-code")
    assert ada.page.status_code == 503
    await fault(here, "/v1/users/search", body="<html>", content_type="text/html")
    await ada.submit(path, csrf=csrf, email=ADA, kind="email-code")
    assert ada.page.status_code == 503
    await ada.get(path)
    await ada.log_in()
    path, form = ada.path, {"csrf": ada.csrf, "question": ada.question}
    await fault(here, SUBMIT, status=503)
    await ada.submit(decision="allow")
    assert ada.page.status_code == 503
    await ada.submit(path, **form, decision="allow")
    assert ada.code, "nothing was decided yet"


async def test_a_call_that_does_not_end_is_given_up(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CALL_SECONDS", 0.05)
    ada = here.person()
    await ada.connect()
    await here.stytch.post("/_test/faults", json={"/v1/users/search": {"hold": True}})
    await ada.submit(email=ADA, kind="email-code")
    assert ada.page.status_code == 503
    await here.stytch.delete("/_test/faults")


@pytest.mark.parametrize("body", ["null", "[]", "3", '"x"', "{}"])
async def test_an_answer_that_is_no_object_is_no_answer(here: World, body: str) -> None:
    ada = here.person()
    await ada.connect()
    await fault(here, "/v1/users/search", status=200, body=body, content_type="application/json")
    await ada.submit(email=ADA, kind="email-code")
    assert ada.page.status_code == 503


async def test_a_stytch_that_is_not_there_is_down(here: World) -> None:
    away = await here.replica(stytch_domain="http://127.0.0.1:9")
    ada = here.person(away)
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    assert ada.page.status_code == 503


async def test_a_send_that_fails_fails_for_everyone(here: World) -> None:
    """An address that is not admitted meets the same failures, or failing would tell who is."""
    ada, grace = here.person(), here.person()
    await fault(here, "/v1/otps/email/login_or_create", status=400)
    for person, address in ((ada, ADA), (grace, GRACE)):
        await person.connect()
        await person.submit(email=address, kind="email-code")
        assert person.page.status_code == 503


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "connected-app-test-nobody"}, "client_id names no application"),
        ({"redirect_uri": "https://evil.example/callback"}, "redirect_uri is not one of the application's own"),
        ({"scope": "nothing:here"}, "scope has a name that does not exist here"),
        ({"client_id": "https://127.0.0.1:9/client.json"}, "client_id leads to a document"),
    ],
)
async def test_what_stytch_does_not_vouch_for_gets_no_redirect(
    here: World, changes: dict[str, str], words: str
) -> None:
    ada = here.person()
    await ada.connect(**changes)
    await ada.log_in()
    assert ada.page.status_code == 400
    assert words in ada.text
    assert "refresh" not in ada.page.text
    assert "evil.example" not in ada.page.text


async def test_another_refusal_of_stytchs_is_named(here: World) -> None:
    ada = here.person()
    await ada.connect()
    body = {"status_code": 400, "request_id": "r", "error_type": "new_kind", "error_message": "no", "error_url": "u"}
    await fault(here, START, status=400, body=body)
    await ada.log_in()
    assert "refused the request: new_kind" in ada.text
    await ada.connect()
    await fault(here, SUBMIT, status=400, body=body)
    await ada.submit(decision="allow")
    assert ada.page.status_code == 400


async def test_a_redirect_to_somewhere_else_is_not_followed(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    body = {
        "redirect_uri": "https://evil.example/?code=1",
        "authorization_code": "1",
        "status_code": 200,
        "request_id": "r",
    }
    await fault(here, SUBMIT, body=body)
    await ada.submit(decision="allow")
    assert ada.page.status_code == 502
    assert "evil" not in ada.page.text


@pytest.mark.parametrize(
    ("redirect", "words", "warns"),
    [
        ("http://127.0.0.1:3000/callback", "127.0.0.1", True),
        ("http://localhost:3000/callback", "localhost", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "the program on this device that opens cursor: links", False),
        ("https://claude.ai/callback?x=1", "claude.ai", False),
    ],
)
async def test_where_it_goes_is_said(here: World, redirect: str, words: str, warns: bool) -> None:
    client_id = await here.register(redirect_uris=[redirect])
    ada = here.person()
    await ada.connect(client_id=client_id, redirect_uri=redirect)
    await ada.log_in()
    assert f"You will return to {words}" in ada.text
    assert ("A program on this computer" in ada.text) is warns
    code = await ada.allow()
    assert ada.destination.startswith(redirect)
    assert (await here.token(code, redirect, client_id)).status_code == 200


async def test_two_replicas_serve_alternating_steps(here: World) -> None:
    other = await here.replica()
    ada, there = here.person(), here.person(other)
    there.http.cookies = ada.http.cookies
    both = [ada, there]

    async def step(**fields: str) -> Person:
        both.reverse()
        both[0].page, both[0].http.cookies = both[1].page, both[1].http.cookies
        await both[0].submit(**fields)
        return both[0]

    await ada.connect()
    await step(email=ADA, kind="email-code")
    await step(action="verify", code="123456")
    assert "wrong" in both[0].text
    await step(action="verify", code=CODE)
    last = await step(decision="allow")
    assert (await here.token(last.code)).status_code == 200


async def test_the_secret_can_be_changed_while_people_log_in(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.submit(email=ADA, kind="email-code")
    newer = here.person(await here.replica(signin_secret=f"{'n' * 32},{'s' * 32}"))
    newer.http.cookies, newer.page = ada.http.cookies, ada.page
    await newer.submit(action="verify", code=CODE)
    assert await newer.allow()
    stranger = here.person(await here.replica(signin_secret="z" * 32))
    stranger.http.cookies, stranger.page = ada.http.cookies, ada.page
    await stranger.get("/oauth/connections")
    assert stranger.path.startswith("/oauth/login/")


async def test_connections_are_listed_and_disconnected(here: World) -> None:
    ada = here.person()
    await ada.get("/oauth/connections")
    assert "see which applications are connected" in ada.text
    await ada.log_in()
    assert "No application is connected" in ada.text
    await ada.connect(scope="notes:read notes:write")
    refresh = await ada.allow()
    await here.token(refresh)
    await ada.get("/oauth/connections")
    assert "Claude Since 20" in ada.text
    assert "Read reads" in ada.text
    assert "Write changes" in ada.text
    csrf = ada.csrf
    await ada.submit(app="connected-app-test-somebody-elses")
    assert "Claude" in ada.text
    await ada.submit(csrf="wrong", app=here.client_id)
    assert ada.page.status_code == 403
    await ada.submit("/oauth/connections", csrf=csrf, app=here.client_id)
    assert "No application is connected" in ada.text
    await ada.submit("/oauth/logout", csrf="wrong")
    assert ada.page.status_code == 403
    await ada.submit("/oauth/logout", csrf=csrf)
    assert "You are logged out" in ada.text
    assert not here.project.sessions
    await ada.submit("/oauth/logout", csrf=csrf)
    assert "You are logged out" in ada.text


async def test_since_when_stays_and_may_be_unknown(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    await fault(here, "/v1/users/*", status=500)
    assert await ada.allow(), "a failure to remember keeps nobody from connecting"
    await ada.get("/oauth/connections")
    assert "not known since when" in ada.text
    await ada.connect(prompt="consent")
    await ada.allow()
    here.now.forward(86400)
    await ada.connect(prompt="consent")
    await ada.log_in()
    await ada.allow()
    user = next(user for user in here.project.users.values() if user.email and user.email.address == ADA)
    assert list(user.trusted_metadata[calls.CONNECTED_SINCE]) == [here.client_id]


async def test_what_is_connected_since_nobody_knows_when_is_disconnected(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    await fault(here, "/v1/users/*", status=500)
    await ada.allow()
    await ada.get("/oauth/connections")
    assert "not known since when" in ada.text
    await ada.submit("/oauth/connections", csrf=ada.csrf, app=here.client_id)
    assert "No application is connected" in ada.text


async def test_who_allows_again_is_connected_since_then(here: World) -> None:
    ada = here.person()
    await ada.connect()
    await ada.log_in()
    await ada.allow()
    await ada.get("/oauth/connections")
    await ada.submit(app=here.client_id)
    here.now.forward(2 * 86400)
    await ada.connect()
    await ada.log_in()
    await ada.allow()
    await ada.get("/oauth/connections")
    assert f"Since {datetime.fromtimestamp(here.now(), UTC).date().isoformat()}" in ada.text


async def test_connections_after_the_session_ended(here: World) -> None:
    ada = here.person()
    await ada.get("/oauth/connections")
    await ada.log_in()
    csrf = ada.csrf
    here.project.sessions.clear()
    await ada.submit("/oauth/connections", csrf=csrf, app="x")
    assert ada.path.startswith("/oauth/login/")
    await ada.log_in()
    here.project.sessions.clear()
    await ada.get("/oauth/connections")
    assert ada.path.startswith("/oauth/login/")
    await ada.log_in()
    body = {"status_code": 400, "request_id": "r", "error_type": "new_kind", "error_message": "no", "error_url": "u"}
    await fault(here, "/v1/sessions/authenticate", status=400, body=body)
    await ada.get("/oauth/connections")
    assert ada.page.status_code == 400
    # A log-in for its own sake has nothing to consent to.
    await fault(here, "/v1/sessions/authenticate", status=404, body={**body, "error_type": "session_not_found"})
    await ada.get("/oauth/connections")
    tx = ada.path.rpartition("/")[2]
    await ada.get(f"/oauth/sent/{tx}")
    assert ada.path == f"/oauth/login/{tx}"
    await ada.get(f"/oauth/consent/{tx}")
    assert ada.path.startswith("/oauth/login/")


async def fault(here: World, route: str, **how: Any) -> None:
    """The next request to a route of Stytch's goes wrong."""
    answer = await here.stytch.post("/_test/faults", json={route: {"times": 1, **how}})
    assert answer.status_code == 200, answer.text
