"""Who may come in, where their addresses are from, and which scopes an operation takes."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from stytch_mcp import Scope, needs
from stytch_mcp.protect import subjects
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.policy import AccessPolicy, AccessRules, fold
from stytch_mcp.protect.reasons import NOT_ALLOWED, SUBJECT_UNAVAILABLE, Reason, Refused
from stytch_mcp.protect.scopes import ScopePolicy, ScopeTable, needed
from stytch_mcp.protect.subjects import Subjects, WorkosSubjects
from tests.fake_issuer import (
    CLIENT_ID,
    DOMAIN,
    MEMBER_ID,
    ORGANIZATION_ID,
    PROJECT_ID,
    SECRET,
    USER_ID,
    Answer,
    FakeIssuer,
    down,
)

pytestmark = pytest.mark.anyio

USER_PATH = f"/v1/users/{USER_ID}"
DAY = 24 * 3600


def person(**changes: Any) -> Principal:
    return Principal(**{"subject": USER_ID, "client_id": CLIENT_ID, "issuer": DOMAIN, "scopes": frozenset(), **changes})


def member(subject: str = MEMBER_ID) -> Principal:
    return person(subject=subject, organization=ORGANIZATION_ID)


def rules(**lists: str) -> AccessRules:
    return AccessRules(**{name: frozenset(values.split()) for name, values in lists.items()})


def subjects_of(issuer: FakeIssuer) -> Subjects:
    return Subjects(issuer.client, domain=DOMAIN, project_id=PROJECT_ID, secret=SECRET, clock=issuer.clock)


async def outcome(policy: AccessPolicy, principal: Principal) -> Reason | None:
    try:
        await policy.admit(principal)
    except Refused as refused:
        return refused.reason
    return None


# The rules.

EVERY_RULE = {
    "users": f"{USER_ID} user-live-other",
    "organizations": ORGANIZATION_ID,
    "emails": "grace@example.net",
    "domains": "example.com",
}


@pytest.mark.parametrize(
    ("allowed", "principal"),
    [
        (rules(users="*"), person()),
        (rules(users=USER_ID), person()),
        (rules(users=MEMBER_ID), member()),
        (rules(organizations=ORGANIZATION_ID), member()),
        (rules(emails="grace@example.net"), person(emails=["Grace@Example.NET"])),
        (rules(domains="example.com"), person(emails=["ada@EXAMPLE.com"])),
        (rules(domains="example.com"), person(emails=["ada@evil.example@example.com"])),
        (rules(domains="example.com"), person(emails=["eve@evil.example", "ada@example.com"])),
        (rules(**EVERY_RULE), person()),
        (rules(**EVERY_RULE), person(subject="user-x", organization=ORGANIZATION_ID)),
        (rules(**EVERY_RULE), person(subject="user-x", emails=["grace@example.net"])),
        (rules(**EVERY_RULE), person(subject="user-x", emails=["ada@example.com"])),
    ],
)
async def test_any_one_rule_that_matches_admits(allowed: AccessRules, principal: Principal) -> None:
    assert await outcome(AccessPolicy(allowed, None), principal) is None


@pytest.mark.parametrize(
    ("allowed", "principal"),
    [
        (rules(), person(emails=["ada@example.com"], organization=ORGANIZATION_ID)),
        (rules(users="user-live-other"), person()),
        (rules(users=USER_ID[:-1]), person()),
        (rules(users=USER_ID.upper()), person()),
        (rules(users=CLIENT_ID), person()),
        (rules(organizations=ORGANIZATION_ID), person()),
        (rules(organizations=ORGANIZATION_ID), person(organization="organization-live-other")),
        (rules(organizations="*"), person(organization=ORGANIZATION_ID)),
        (rules(emails="ada@example.com"), person()),
        (rules(emails="ada@example.com"), person(emails=["ada@example.com.evil.example"])),
        (rules(emails="ada@example.com"), person(emails=["ada+x@example.com"])),
        (rules(emails="ada@example.com"), person(emails=["example.com"])),
        (rules(emails="*"), person(emails=["ada@example.com"])),
        (rules(domains="example.com"), person(emails=["ada@mail.example.com"])),
        (rules(domains="example.com"), person(emails=["ada@notexample.com"])),
        (rules(domains="example.com"), person(emails=["ada@example.com@evil.example"])),
        (rules(domains="example.com"), person(emails=["ada@example.com."])),
        (rules(domains="example.com"), person(emails=["ada@example.com "])),
        (rules(domains="example.com"), person(emails=["ada@"])),
        (rules(domains="example.com"), person(emails=["example.com"])),
        (rules(domains="mail.example.com"), person(emails=["ada@example.com"])),
        (rules(domains="*"), person(emails=["ada@example.com"])),
        (rules(domains="bank.example"), person(emails=["eve@ban\u212a.example"])),
        (rules(emails="karl@example.com"), person(emails=["\u212aarl@example.com"])),
    ],
)
async def test_what_no_rule_names_stays_out(allowed: AccessRules, principal: Principal) -> None:
    assert await outcome(AccessPolicy(allowed, None), principal) is NOT_ALLOWED


async def test_a_refusal_names_the_subject_to_the_log_only() -> None:
    with pytest.raises(Refused) as caught:
        await AccessPolicy(rules(), None).admit(person())
    assert (caught.value.issuer, caught.value.client_id) == (DOMAIN, CLIENT_ID)
    assert USER_ID in caught.value.detail
    assert USER_ID not in caught.value.reason.description
    assert caught.value.reason.status == 403


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.text())
def test_folding_an_address_makes_no_ascii_letter_of_another(address: str) -> None:
    folded = fold(address)
    assert len(folded) == len(address)
    assert all(was == now or (now == was.lower() and was.isascii()) for was, now in zip(address, folded, strict=True))
    assert not any("A" <= letter <= "Z" for letter in folded)


# Addresses from Stytch.


@pytest.fixture
def policy(issuer: FakeIssuer) -> AccessPolicy:
    return AccessPolicy(rules(domains="example.com"), subjects_of(issuer))


async def in_the_background(policy: AccessPolicy, principal: Principal | None = None) -> None:
    """Waits for the look-up that nobody waits for."""
    assert policy._subjects is not None
    who = principal or person()
    task = policy._subjects[DOMAIN]._remembered[who.subject, who.organization]._task
    assert task is not None
    await task


async def test_a_subject_is_looked_up_once_in_five_minutes(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    for seconds in (0, 60, 120, 60):
        issuer.clock.forward(seconds)
        assert await outcome(policy, person()) is None
    await in_the_background(policy)
    assert issuer.requests[USER_PATH] == 1


async def test_from_the_fourth_minute_on_it_is_renewed_off_the_requests_way(
    issuer: FakeIssuer, policy: AccessPolicy
) -> None:
    await policy.admit(person())
    release, asked = asyncio.Event(), asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        asked.set()
        await release.wait()
        return httpx.Response(404)

    issuer.answers[USER_PATH] = slow
    issuer.clock.forward(240.5)
    for _ in range(100):
        assert await outcome(policy, person()) is None
    for _ in range(10):
        await checkpoint()
    assert asked.is_set()
    assert issuer.requests[USER_PATH] == 2
    release.set()
    await in_the_background(policy)
    assert await outcome(policy, person()) is NOT_ALLOWED


@pytest.mark.parametrize("seconds", [300.5, 3600, 30 * DAY])
async def test_a_deleted_user_is_out_after_five_minutes(
    issuer: FakeIssuer, policy: AccessPolicy, seconds: float
) -> None:
    await policy.admit(person())
    del issuer.users[USER_ID]
    issuer.clock.forward(seconds)
    assert await outcome(policy, person()) is NOT_ALLOWED


async def test_a_busy_deleted_user_is_out_after_five_minutes_too(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    await policy.admit(person())
    del issuer.users[USER_ID]
    answers = []
    for _ in range(31):
        answers.append(await outcome(policy, person()))
        await checkpoint()
        issuer.clock.forward(10)
    assert answers[-1] is NOT_ALLOWED


async def test_a_changed_address_counts_after_five_minutes(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    issuer.users[USER_ID] = [{"email": "ada@example.net", "verified": True}]
    assert await outcome(policy, person()) is NOT_ALLOWED
    issuer.users[USER_ID] = [{"email": "ada@example.com", "verified": True}]
    assert await outcome(policy, person()) is NOT_ALLOWED
    issuer.clock.forward(300.5)
    assert await outcome(policy, person()) is None


async def test_a_known_subject_comes_in_for_a_day_while_stytch_is_down(
    issuer: FakeIssuer, policy: AccessPolicy
) -> None:
    await policy.admit(person())
    issuer.answers[USER_PATH] = down
    for _ in range(24):
        issuer.clock.forward(3600)
        assert await outcome(policy, person()) is None
    issuer.clock.forward(5)
    assert await outcome(policy, person()) is SUBJECT_UNAVAILABLE
    del issuer.answers[USER_PATH]
    issuer.clock.forward(5)
    assert await outcome(policy, person()) is None


@pytest.mark.parametrize(
    "answer",
    [
        down,
        lambda _: httpx.Response(500, json={"emails": [{"email": "ada@example.com", "verified": True}]}),
        lambda _: httpx.Response(401, json={"error_type": "unauthorized_credentials"}),
        lambda _: httpx.Response(429),
        lambda _: httpx.Response(302, headers={"Location": "https://evil.example/"}),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, json=[]),
    ],
    ids=["down", "500", "401", "429", "302", "HTML", "a list"],
)
async def test_a_subject_that_was_never_resolved_is_503_while_stytch_fails(
    issuer: FakeIssuer, policy: AccessPolicy, answer: Answer
) -> None:
    issuer.answers[USER_PATH] = answer
    for _ in range(50):
        with pytest.raises(Refused) as caught:
            await policy.admit(person())
        assert (caught.value.reason, caught.value.reason.status) == (SUBJECT_UNAVAILABLE, 503)
        assert caught.value.retry_after == 5
        assert (caught.value.issuer, caught.value.client_id) == (DOMAIN, CLIENT_ID)
    assert len(issuer.seen) == 1
    assert SECRET not in caught.value.detail
    del issuer.answers[USER_PATH]
    issuer.clock.forward(5)
    assert await outcome(policy, person()) is None


@pytest.mark.parametrize(
    "emails",
    [
        [{"email": "ada@example.com", "verified": False}],
        [{"email": "ada@example.com"}],
        [{"email": "ada@example.com", "verified": "true"}],
        [{"email": ["ada@example.com"], "verified": True}],
        [{"verified": True}],
        ["ada@example.com"],
        [],
        {"email": "ada@example.com", "verified": True},
        "ada@example.com",
        None,
    ],
    ids=str,
)
async def test_only_verified_addresses_count(issuer: FakeIssuer, policy: AccessPolicy, emails: Any) -> None:
    issuer.answers[USER_PATH] = lambda _: httpx.Response(200, json={"emails": emails})
    assert await outcome(policy, person()) is NOT_ALLOWED


async def test_any_of_several_verified_addresses_counts(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    issuer.users[USER_ID] = [
        {},
        {"email": "eve@example.org", "verified": True},
        {"email": "ada@example.com", "verified": True},
    ]
    assert await outcome(policy, person()) is None


MEMBER = {"email_address": "ada@example.com", "email_address_verified": True, "status": "active"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"status": "invited"}, NOT_ALLOWED),
        ({"status": "deleted"}, NOT_ALLOWED),
        ({"status": None}, NOT_ALLOWED),
        ({"email_address_verified": False}, NOT_ALLOWED),
        ({"email_address_verified": 1}, NOT_ALLOWED),
        ({"email_address": None}, NOT_ALLOWED),
        ({"email_address": "ada@example.org"}, NOT_ALLOWED),
    ],
    ids=str,
)
async def test_a_member_is_looked_up_in_the_organization_of_the_token(
    issuer: FakeIssuer, policy: AccessPolicy, changes: dict[str, Any], reason: Reason | None
) -> None:
    issuer.members[f"{ORGANIZATION_ID}/{MEMBER_ID}"] = {**MEMBER, **changes}
    assert await outcome(policy, member()) is reason
    [request] = issuer.seen
    assert str(request.url) == f"{DOMAIN}/v1/b2b/organizations/{ORGANIZATION_ID}/member?member_id={MEMBER_ID}"


@pytest.mark.parametrize("answer", [{}, {"member": None}, {"member": [MEMBER]}], ids=str)
async def test_an_answer_without_a_member_admits_nobody(
    issuer: FakeIssuer, policy: AccessPolicy, answer: dict[str, Any]
) -> None:
    path = f"/v1/b2b/organizations/{ORGANIZATION_ID}/member"
    issuer.answers[path] = lambda _: httpx.Response(200, json=answer)
    assert await outcome(policy, member()) is NOT_ALLOWED


async def test_the_same_person_in_two_organizations_is_two_subjects(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    issuer.members[f"{ORGANIZATION_ID}/{MEMBER_ID}"] = MEMBER
    assert await outcome(policy, member()) is None
    assert await outcome(policy, person(subject=MEMBER_ID, organization="organization-live-other")) is NOT_ALLOWED
    assert len(issuer.seen) == 2


@pytest.mark.parametrize("odd", ["user-../../v1/b2b", "user-a/b", "user-a?x=1#y", "user-%2e%2e"])
async def test_a_subject_cannot_leave_its_place_in_the_address(
    issuer: FakeIssuer, policy: AccessPolicy, odd: str
) -> None:
    await outcome(policy, person(subject=odd))
    [request] = issuer.seen
    assert request.url.raw_path.startswith(b"/v1/users/user-")
    assert request.url.raw_path.count(b"/") == 3
    assert b"?" not in request.url.raw_path


async def test_the_secret_goes_to_stytch_and_nowhere_else(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    issuer.answers[USER_PATH] = lambda _: httpx.Response(302, headers={"Location": "https://evil.example/"})
    await outcome(policy, person())
    await outcome(policy, person(subject="user-live-other"))
    await outcome(policy, member())
    assert len(issuer.seen) == 3
    for request in issuer.seen:
        assert f"{request.url.scheme}://{request.url.host}" == DOMAIN
        assert request.headers["authorization"] == httpx.BasicAuth(PROJECT_ID, SECRET)._auth_header
        assert SECRET not in str(request.url)


async def test_people_of_another_issuer_are_never_looked_up(issuer: FakeIssuer, policy: AccessPolicy) -> None:
    stranger = person(issuer="https://idp.example.org")
    assert await outcome(policy, stranger) is NOT_ALLOWED
    assert await outcome(policy, person(issuer="https://idp.example.org", emails=["ada@example.com"])) is None
    assert not issuer.seen


@pytest.mark.parametrize(
    ("allowed", "who"),
    [
        (rules(users=USER_ID, domains="example.com"), person()),
        (rules(users="*", domains="example.com"), person()),
        (rules(domains="example.com"), person(emails=["ada@example.com"])),
        (rules(users="user-live-other", organizations=ORGANIZATION_ID), person()),
        (rules(), person()),
    ],
    ids=["named", "everyone", "address in the token", "no rule about addresses", "no rule"],
)
async def test_nobody_is_looked_up_without_need(issuer: FakeIssuer, allowed: AccessRules, who: Principal) -> None:
    await outcome(AccessPolicy(allowed, subjects_of(issuer)), who)
    assert not issuer.seen


async def test_a_thousand_first_requests_of_a_subject_cause_one_look_up(
    issuer: FakeIssuer, policy: AccessPolicy
) -> None:
    answers: list[Reason | None] = []

    async def ask() -> None:
        answers.append(await outcome(policy, person()))

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(ask)
    assert answers == [None] * 1000
    assert len(issuer.seen) == 1


async def test_memory_is_bounded_and_the_longest_unused_goes_first(
    issuer: FakeIssuer, policy: AccessPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert subjects.REMEMBER_SUBJECTS == 10_000
    monkeypatch.setattr(subjects, "REMEMBER_SUBJECTS", 3)
    for name in ("user-1", "user-2", "user-3", "user-1", "user-4"):
        await outcome(policy, person(subject=name))
    assert policy._subjects is not None
    assert [subject for subject, _ in policy._subjects[DOMAIN]._remembered] == ["user-3", "user-1", "user-4"]
    assert issuer.requests["/v1/users/user-1"] == 1


# Scopes.

READ = Scope("notes:read", "Read notes")
WRITE = Scope("notes:write", "Change notes", implies=(READ,))
ADMIN = Scope("notes:admin", "Everything", implies=(WRITE,))
TABLE = ScopeTable((READ, WRITE, ADMIN))


def scope_policy(required: str = "", *, per_tool: bool = True) -> ScopePolicy:
    scopes = ScopePolicy(TABLE, required=required.split(), basic=("openid",), per_tool=per_tool)
    scopes.protect({"search": ("notes:read",), "add": ("notes:write",), "wipe": ("notes:admin", "x:other"), "free": ()})
    return scopes


@pytest.mark.parametrize(
    ("granted", "wanted", "allowed"),
    [
        ("notes:read", "notes:read", True),
        ("notes:write", "notes:read", True),
        ("notes:admin", "notes:read notes:write", True),
        ("notes:read", "notes:write", False),
        ("notes:write", "notes:admin", False),
        ("notes:write", "notes:read x:other", False),
        ("x:other", "x:other", True),
        ("notes", "notes:read", False),
        ("NOTES:READ", "notes:read", False),
        ("", "", True),
        ("", "notes:read", False),
    ],
)
def test_a_wider_scope_includes_the_narrower_and_not_the_reverse(granted: str, wanted: str, allowed: bool) -> None:
    assert scope_policy().allows(frozenset(granted.split()), wanted.split()) is allowed


@pytest.mark.parametrize(
    ("required", "tool", "scopes"),
    [
        ("", "search", ("notes:read",)),
        ("", "add", ("notes:read", "notes:write")),
        ("", "wipe", ("notes:read", "notes:write", "notes:admin", "x:other")),
        ("", "free", ()),
        ("", "unknown", ()),
        ("notes:read", "unknown", ("notes:read",)),
        ("openid", "add", ("notes:read", "notes:write", "openid")),
    ],
)
def test_all_scopes_of_a_tool_in_the_order_of_the_table(required: str, tool: str, scopes: tuple[str, ...]) -> None:
    assert scope_policy(required).of_message("tools/call", {"name": tool}) == scopes


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {"name": "add"}),
        ("tools/call", None),
        ("tools/call", []),
        ("tools/call", {}),
        ("tools/call", {"name": ["add"]}),
        ("TOOLS/CALL", {"name": "add"}),
        (["tools/call"], {"name": "add"}),
        (None, None),
    ],
)
def test_everything_else_takes_the_required_scopes(method: object, params: object) -> None:
    assert scope_policy("notes:read").of_message(method, params) == ("notes:read",)


def test_in_simple_mode_tools_take_nothing_more() -> None:
    assert scope_policy(per_tool=False).of_tool("wipe") == ()
    assert scope_policy("notes:read", per_tool=False).of_tool("wipe") == ("notes:read",)


def test_what_a_challenge_asks_for_at_first() -> None:
    assert scope_policy().basic == ("openid",)
    assert scope_policy("notes:write notes:read").basic == ("notes:read", "notes:write")


def test_needs_is_what_needed_reads() -> None:
    assert needed(needs(READ, WRITE)) == ("notes:read", "notes:write")
    assert needs(READ) == {"securitySchemes": [{"type": "oauth2", "scopes": ["notes:read"]}]}
    assert needed(None) == needed({}) == needed({"securitySchemes": [{"type": "noauth"}]}) == ()


def test_unknown_scopes_sort_last_and_each_stands_once() -> None:
    assert TABLE.sort(["z", "notes:write", "a", "notes:read", "z"]) == ("notes:read", "notes:write", "a", "z")


# Addresses of people who log in at WorkOS.

AUTHKIT = "https://calm-river-12.authkit.app"
WORKOS_USER = "user_01E4ZCR3C56J083X43JQXF3JK5"


def workos_policy(issuer: FakeIssuer) -> AccessPolicy:
    workos = WorkosSubjects(issuer.client, domain=AUTHKIT, api_key="sk_live_1", clock=issuer.clock)
    return AccessPolicy(rules(domains="example.com"), subjects_of(issuer), workos)


def moved() -> Principal:
    """Who came from Stytch: the principal is the old one, WorkOS knows the person by another name."""
    return person(issuer=AUTHKIT, claims={"sub": WORKOS_USER, "external_id": USER_ID})


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"email": "ada@example.com", "email_verified": True}, None),
        ({"email": "ada@example.com", "email_verified": False}, NOT_ALLOWED),
        ({"email": "ada@example.com", "email_verified": "true"}, NOT_ALLOWED),
        ({"email": "ada@example.com"}, NOT_ALLOWED),
        ({"email": ["ada@example.com"], "email_verified": True}, NOT_ALLOWED),
        ({"email": "ada@example.net", "email_verified": True}, NOT_ALLOWED),
    ],
    ids=str,
)
async def test_only_an_address_that_workos_verified_counts(
    issuer: FakeIssuer, user: dict[str, Any], reason: Reason | None
) -> None:
    path = f"/user_management/users/{WORKOS_USER}"
    issuer.answers[path] = lambda _: httpx.Response(200, json=user)
    assert await outcome(workos_policy(issuer), moved()) is reason
    (asked,) = issuer.seen
    assert (asked.url.host, asked.url.path) == ("api.workos.com", path)
    assert asked.headers["authorization"] == "Bearer sk_live_1"


async def test_a_person_of_one_issuer_is_never_looked_up_at_another(issuer: FakeIssuer) -> None:
    """The Stytch user of that name is allowed, and that does not count for a token that WorkOS signed."""
    assert await outcome(workos_policy(issuer), person()) is None
    assert await outcome(workos_policy(issuer), moved()) is NOT_ALLOWED


async def test_workos_being_down_is_503(issuer: FakeIssuer) -> None:
    issuer.answers[f"/user_management/users/{WORKOS_USER}"] = down
    assert await outcome(workos_policy(issuer), moved()) is SUBJECT_UNAVAILABLE
