"""STYTCH_REVOCATION_SECONDS: what a person disconnects ends within a bound, and Stytch being down ends nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from stytch_mcp.protect import revocation
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.remote import RETRY_SECONDS
from stytch_mcp.protect.revocation import REMEMBER_PAIRS, Revocation
from tests.fake_issuer import (
    CLIENT_ID,
    DOMAIN,
    MEMBER_ID,
    ORGANIZATION_ID,
    PROJECT_ID,
    SECRET,
    USER_ID,
    FakeIssuer,
    down,
)

pytestmark = pytest.mark.anyio

SECONDS = 60.0
PATH = f"/v1/users/{USER_ID}/connected_apps"


class Apps:
    """What Stytch says about somebody's connections."""

    def __init__(self, issuer: FakeIssuer, path: str = PATH) -> None:
        self.connected = True
        issuer.answers[path] = self.answer

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("Basic ")
        others = [{"connected_app_id": "connected-app-live-other"}, "odd"]
        mine = [{"connected_app_id": CLIENT_ID}] if self.connected else []
        return httpx.Response(200, json={"connected_apps": [*others, *mine]})


@pytest.fixture
def checked(issuer: FakeIssuer) -> Revocation:
    return Revocation(
        issuer.client,
        domain=DOMAIN,
        project_id=PROJECT_ID,
        secret=SECRET,
        seconds=SECONDS,
        now=issuer.now,
        clock=issuer.clock,
    )


def principal(fake: FakeIssuer, **changes: Any) -> Principal:
    values = {"subject": USER_ID, "client_id": CLIENT_ID, "issuer": DOMAIN, "scopes": frozenset[str](), **changes}
    return Principal(claims={"iat": int(fake.now()) - 5}, **values)


def forward(issuer: FakeIssuer, seconds: float) -> None:
    issuer.now.forward(seconds)
    issuer.clock.forward(seconds)


async def refused(checked: Revocation, who: Principal) -> None:
    with pytest.raises(Refused) as caught:
        await checked.check(who)
    assert (caught.value.reason.code, caught.value.reason.status) == ("revoked", 401)
    assert caught.value.client_id == who.client_id


async def test_a_connection_is_asked_about_once_in_n_seconds(issuer: FakeIssuer, checked: Revocation) -> None:
    apps, who = Apps(issuer), principal(issuer)
    for _ in range(3):
        await checked.check(who)
    assert issuer.requests[PATH] == 1
    apps.connected = False
    forward(issuer, SECONDS)
    await checked.check(who)
    assert issuer.requests[PATH] == 1
    forward(issuer, 1)
    await refused(checked, who)
    await refused(checked, who)
    assert issuer.requests[PATH] == 2


async def test_who_connects_again_is_not_kept_out(issuer: FakeIssuer, checked: Revocation) -> None:
    apps, who = Apps(issuer), principal(issuer)
    apps.connected = False
    await refused(checked, who)
    apps.connected = True
    await refused(checked, who)
    forward(issuer, 10)
    await checked.check(principal(issuer))
    assert issuer.requests[PATH] == 2


async def test_who_connects_again_within_the_same_second_is_not_kept_out(
    issuer: FakeIssuer, checked: Revocation
) -> None:
    """`iat` counts whole seconds, our clock does not."""
    apps, who = Apps(issuer), principal(issuer)
    issuer.now.forward(0.5)
    apps.connected = False
    await refused(checked, who)
    apps.connected = True
    await checked.check(replace(who, claims={"iat": int(issuer.now())}))


async def test_an_answer_is_as_old_as_its_question(issuer: FakeIssuer, checked: Revocation) -> None:
    """Stytch looks, the answer takes its time, the person disconnects meanwhile: N + 2 s count from there."""
    apps, who = Apps(issuer), principal(issuer)

    def slow(request: httpx.Request) -> httpx.Response:
        answer = apps.answer(request)
        apps.connected = False
        forward(issuer, 4.5)
        return answer

    issuer.answers[PATH] = slow
    await checked.check(who)
    issuer.answers[PATH] = apps.answer
    forward(issuer, SECONDS - 4)
    await refused(checked, who)


async def test_while_stytch_is_down_the_last_answer_holds(issuer: FakeIssuer, checked: Revocation) -> None:
    apps, who = Apps(issuer), principal(issuer)
    await checked.check(who)
    issuer.answers[PATH] = down
    forward(issuer, 5 * SECONDS)
    await checked.check(who)
    apps.connected = False
    issuer.answers[PATH] = apps.answer
    forward(issuer, RETRY_SECONDS)
    await refused(checked, who)
    issuer.answers[PATH] = down
    forward(issuer, 5 * SECONDS)
    await refused(checked, who)


@pytest.mark.parametrize("answer", [down, lambda _: httpx.Response(200, json={}), lambda _: httpx.Response(500)])
async def test_without_any_answer_the_token_counts(issuer: FakeIssuer, checked: Revocation, answer: Any) -> None:
    issuer.answers[PATH] = answer
    await checked.check(principal(issuer))


async def test_a_slow_answer_is_waited_for_so_long(
    issuer: FakeIssuer, checked: Revocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revocation.WAIT_SECONDS == 2.0
    monkeypatch.setattr(revocation, "WAIT_SECONDS", 0.01)
    released, apps = anyio.Event(), Apps(issuer)
    apps.connected = False

    async def slow(request: httpx.Request) -> httpx.Response:
        await released.wait()
        return apps.answer(request)

    issuer.answers[PATH] = slow
    who = principal(issuer)
    await checked.check(who)
    released.set()
    while issuer.requests[PATH] and not checked._remembered[(USER_ID, CLIENT_ID, None)].known:
        await anyio.lowlevel.checkpoint()
    await refused(checked, who)


async def test_a_deleted_user_has_no_connections(issuer: FakeIssuer, checked: Revocation) -> None:
    await refused(checked, principal(issuer, subject="user-live-gone"))


async def test_members_are_asked_about_in_their_organization(issuer: FakeIssuer, checked: Revocation) -> None:
    path = f"/v1/b2b/organizations/{ORGANIZATION_ID}/members/{MEMBER_ID}/connected_apps"
    Apps(issuer, path)
    await checked.check(principal(issuer, subject=MEMBER_ID, organization=ORGANIZATION_ID))
    assert issuer.requests[path] == 1


async def test_other_issuers_are_not_asked_about(issuer: FakeIssuer, checked: Revocation) -> None:
    await checked.check(principal(issuer, issuer="https://id.example.com"))
    assert not issuer.requests


async def test_only_so_many_are_remembered(issuer: FakeIssuer, checked: Revocation) -> None:
    Apps(issuer)
    for number in range(REMEMBER_PAIRS + 1):
        checked._remembered[("user", str(number), None)] = None  # type: ignore[assignment]
    await checked.check(principal(issuer))
    assert len(checked._remembered) == REMEMBER_PAIRS
