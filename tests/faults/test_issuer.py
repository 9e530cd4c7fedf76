"""The issuer does wrong for an hour, while calls come in three times a minute. Time passes when the test says so."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from anyio.lowlevel import checkpoint

from stytch_mcp.protect import remote
from tests.fake_issuer import KEY_ID, USER_ID, Answer, FakeIssuer, down, public_jwk, rsa_key
from tests.faults.conftest import Figure
from tests.test_gate import call, post, started

pytestmark = pytest.mark.anyio

JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/oauth-authorization-server"
PERSON = f"/v1/users/{USER_ID}"
STEP_SECONDS = 20
STEPS = 180


async def never(_: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


LIES: tuple[Answer, ...] = (
    lambda _: httpx.Response(200, text="<html>Down for maintenance</html>"),
    lambda _: httpx.Response(200, json={"keys": []}),
    lambda _: httpx.Response(200, content=b"[" * 60_000),
    lambda _: httpx.Response(302, headers={"Location": "https://evil.example/"}),
    lambda _: httpx.Response(500, json={"keys": [public_jwk(rsa_key("evil"), KEY_ID)]}),
    lambda _: httpx.Response(429, headers={"Retry-After": "3600"}),
    lambda _: httpx.Response(200, content=b" " * 100_000),
)


def lying() -> Answer:
    """Tells one lie after the other, again and again."""
    lies = itertools.cycle(LIES)

    def answer(request: httpx.Request) -> Any:
        return next(lies)(request)

    return answer


FAULTS: dict[str, Callable[[], Answer]] = {"down": lambda: down, "slow": lambda: never, "lying": lying}


def said(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} times {int(status)}" for status, count in statuses.items())


async def settle() -> None:
    """Until what was begun in the background is done."""
    for _ in range(50):
        await checkpoint()


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_hour_of_a_bad_issuer(
    issuer: FakeIssuer, fault: str, warm: bool, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had keys goes on. Who had none says 503 with a time, and asks no more often than every five seconds."""
    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.0)
    statuses: Counter[int] = Counter()
    async with started(issuer) as app:
        if warm:
            monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 5.0)
            assert (await post(app, issuer.token(), call("free"))).status == 200
            monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.0)
        wrong = FAULTS[fault]()
        issuer.answers.update({JWKS: wrong, METADATA: wrong, PERSON: down if fault == "lying" else wrong})
        asked, tasks = issuer.requests.copy(), len(asyncio.all_tasks())
        for step in range(STEPS):
            for moment in (issuer.now, issuer.clock):
                moment.forward(STEP_SECONDS)
            answer = await post(app, issuer.token(jti=str(step)), call("free"))
            await settle()
            statuses[answer.status] += 1
            assert answer.status == 200 or int(answer.headers["retry-after"]) > 0
        more = issuer.requests - asked
        assert len(asyncio.all_tasks()) <= tasks
        # And it is well again.
        issuer.answers.clear()
        issuer.clock.forward(STEP_SECONDS)
        monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 5.0)
        assert (await post(app, issuer.token(jti="after"), call("free"))).status == 200
    state = "with" if warm else "without"
    figure(
        f"issuer {fault} for an hour, {state} keys",
        f"{said(statuses)}, keys asked for {more[JWKS]} times, no task left",
    )
    assert statuses == ({200: STEPS} if warm else {503: STEPS})
    assert max(more.values()) <= STEPS * STEP_SECONDS / remote.RETRY_SECONDS


async def test_an_hour_of_rotation(issuer: FakeIssuer, figure: Figure) -> None:
    """A new key every minute, the former one withdrawn: tokens of the key of the moment come in, old keys go."""
    statuses: Counter[int] = Counter()
    withdrawn: Counter[int] = Counter()
    async with started(issuer) as app:
        assert (await post(app, issuer.token(), call("free"))).status == 200
        asked = issuer.requests.copy()
        for minute in range(60):
            kid = f"jwk-live-{minute}"
            former = issuer.keys
            issuer.keys = {kid: rsa_key(f"rotated-{minute % 3}")}
            for step in range(60 // STEP_SECONDS):
                for moment in (issuer.now, issuer.clock):
                    moment.forward(STEP_SECONDS)
                token = issuer.token(key=issuer.keys[kid], headers={"kid": kid}, jti=f"{minute}-{step}")
                statuses[(await post(app, token, call("free"))).status] += 1
                if step == 0:
                    # Right after the new keys were fetched: it costs no other fetch.
                    (old,) = former
                    token = issuer.token(key=former[old], headers={"kid": old}, jti=f"{minute}-old")
                    withdrawn[(await post(app, token, call("free"))).status] += 1
        more = (issuer.requests - asked)[JWKS]
    figure("issuer rotating every minute for an hour", f"{said(statuses)}, keys asked for {more} times")
    figure("tokens of the key before", said(withdrawn))
    assert statuses == {200: STEPS}
    assert withdrawn == {401: 60}
    assert more <= 3600 / 30
