"""The clock of the machine jumps: tokens are judged by it, nothing that is remembered or counted is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from tests.fake_issuer import CLIENT_ID, USER_ID, FakeIssuer
from tests.faults.conftest import Figure
from tests.test_gate import call, post, started

pytestmark = pytest.mark.anyio

PERSON = f"/v1/users/{USER_ID}"
DAY = 24 * 3600.0
JUMPS = {
    "an hour and a minute on": 3660.0,
    "a day on": DAY,
    "ten years on": 3653 * DAY,
    "an hour back": -3600.0,
    "a day back": -DAY,
}
CALLS = 100


@pytest.fixture
async def app(issuer: FakeIssuer) -> AsyncIterator[Starlette]:
    apps = {"connected_apps": [{"connected_app_id": CLIENT_ID}]}
    issuer.answers[f"{PERSON}/connected_apps"] = lambda _: httpx.Response(200, json=apps)
    async with started(issuer, stytch_revocation_seconds=60) as app:
        yield app


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_jump_ends_no_more_than_the_tokens_that_it_ends(
    issuer: FakeIssuer, app: Starlette, jump: str, figure: Figure
) -> None:
    old = issuer.token()
    assert (await post(app, old, call("free"))).status == 200
    asked = issuer.requests.copy()
    issuer.now.forward(JUMPS[jump])
    new = issuer.token(jti="new")
    for _ in range(CALLS):
        assert (await post(app, old, call("free"))).challenge["error"] == "invalid_token"
        assert (await post(app, new, call("free"))).status == 200
    # And the clock is put right again.
    issuer.now.forward(-JUMPS[jump])
    for _ in range(CALLS):
        assert (await post(app, old, call("free"))).status == 200
    more = sum((issuer.requests - asked).values())
    figure(f"the clock jumps {jump} and comes back", f"{3 * CALLS} calls, {more} more requests to the issuer")
    assert more == 0


@pytest.mark.parametrize("jump", JUMPS)
async def test_what_is_remembered_ages_while_the_clock_stands(issuer: FakeIssuer, app: Starlette, jump: str) -> None:
    """Five minutes later, whatever the clock says, keys and people are asked for anew."""
    assert (await post(app, issuer.token(), call("free"))).status == 200
    asked = issuer.requests.copy()
    issuer.now.forward(JUMPS[jump])
    issuer.clock.forward(301)
    issuer.users.clear()
    assert (await post(app, issuer.token(jti="new"), call("free"))).status == 403
    assert issuer.requests[PERSON] == asked[PERSON] + 1


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_new_key_is_found_right_after_a_jump(issuer: FakeIssuer, app: Starlette, jump: str) -> None:
    assert (await post(app, issuer.token(), call("free"))).status == 200
    issuer.now.forward(JUMPS[jump])
    (issuer.keys["new"],) = issuer.keys.values()
    token = issuer.token(headers={"kid": "new"})
    assert (await post(app, token, call("free"))).status == 200
