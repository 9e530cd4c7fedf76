"""Who may log in cannot be told from outside: not by time, not by limits; and the bounds that a replica keeps."""

from __future__ import annotations

import random
import re
import statistics
from typing import Any

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from stytch_mcp.protect.policy import AccessRules
from stytch_mcp.settings import Settings
from stytch_mcp.signin.limits import MOST_KEYS, Limit, Once, Tries, client_address
from stytch_mcp.signin.people import MOST_SENDS, People, TooOften
from stytch_mcp.signin.stytch import ABOUT_ADDRESS, Down, Rejected, TooMany
from tests.fake_issuer import Clock

pytestmark = pytest.mark.anyio

ROUNDS = 400


class SlowStytch:
    """Takes a random time for each call, by a clock that nobody waits for."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.sent: list[str] = []
        self.failing: type[Down] | Rejected | None = None

    def work(self, seconds: float) -> None:
        self.clock.forward(seconds * self.chance.lognormvariate(0, 0.4))

    async def open(self) -> None:
        """Always open."""

    async def find(self, address: str) -> None:
        self.work(0.08)

    async def send_code(self, address: str) -> str:
        self.work(0.35)
        if self.failing is not None:
            raise self.failing
        self.sent.append(address)
        return "email-test-0"


def people(stytch: Any, clock: Clock, chance: random.Random) -> People:
    async def sleep(seconds: float) -> None:
        clock.forward(seconds)

    rules = AccessRules(domains=frozenset({"example.com"}))
    return People(stytch, rules, live=False, now=clock, clock=clock, sleep=sleep, choose=chance.choice)


async def took(them: People, clock: Clock, address: str) -> float:
    began = clock()
    await them.send("email-code", address, None, url="", verifier="", challenge="")
    return clock() - began


async def test_both_take_the_same_time() -> None:
    clock, chance = Clock(1000.0), random.Random(7)
    stytch = SlowStytch(clock, chance)
    them = people(stytch, clock, chance)
    admitted, refused = [], []
    for number in range(ROUNDS):
        admitted.append(await took(them, clock, f"p{number}@example.com"))
        refused.append(await took(them, clock, f"p{number}@example.org"))
    assert len(stytch.sent) == ROUNDS
    assert distance(admitted, refused) < 0.1
    assert statistics.mean(refused) == pytest.approx(statistics.mean(admitted), rel=0.05)
    # What the test would say if nothing were done about it.
    assert distance(admitted, [seconds - 0.35 for seconds in admitted]) > 0.5


def distance(one: list[float], other: list[float]) -> float:
    """The largest difference between two distributions (Kolmogorov and Smirnov): 0 alike, 1 apart."""
    points = sorted({*one, *other})
    return max(abs(share(one, point) - share(other, point)) for point in points)


def share(values: list[float], point: float) -> float:
    return sum(value <= point for value in values) / len(values)


async def test_timers_that_are_late_are_set_earlier() -> None:
    clock, chance = Clock(1000.0), random.Random(7)
    late = 0.004

    async def sleep(seconds: float) -> None:
        clock.forward(seconds + late)

    rules = AccessRules(domains=frozenset({"example.com"}))
    stytch: Any = SlowStytch(clock, chance)
    them = People(stytch, rules, live=False, now=clock, clock=clock, sleep=sleep, choose=lambda _: (0.2, None))
    await took(them, clock, "ada@example.com")
    waited = []
    for number in range(40):
        began = clock()
        await them._pass(0.2)
        waited.append(clock() - began)
        assert number < 20 or waited[-1] == pytest.approx(0.2, abs=0.0001)
    assert waited[0] == pytest.approx(0.204)


async def test_before_anything_was_sent_another_round_trip_is_the_guess() -> None:
    clock, chance = Clock(1000.0), random.Random(1)
    stytch = SlowStytch(clock, chance)
    seconds = await took(people(stytch, clock, chance), clock, "eve@example.org")
    assert seconds > 0
    assert stytch.sent == []


@pytest.mark.parametrize("failure", [Down, TooMany])
async def test_recent_failures_are_shared(failure: type[Down]) -> None:
    clock, chance = Clock(1000.0), random.Random(1)
    stytch = SlowStytch(clock, chance)
    stytch.failing = failure
    them = people(stytch, clock, chance)
    for address in ("ada@example.com", "eve@example.org"):
        with pytest.raises(failure):
            await took(them, clock, address)


@pytest.mark.parametrize("kind", sorted(ABOUT_ADDRESS))
async def test_an_admitted_address_that_stytch_sends_nothing_to_does_not_tell_either(kind: str) -> None:
    """Or else `a..b@example.com` would tell whether the domain is admitted."""
    clock, chance = Clock(1000.0), random.Random(1)
    stytch = SlowStytch(clock, chance)
    stytch.failing = Rejected(400, kind)
    them = people(stytch, clock, chance)
    for address in ("a..b@example.com", "a..b@example.org"):
        login, _ = await them.send("email-code", address, None, url="", verifier="", challenge="")
        assert re.fullmatch(r"email-test-[0-9a-f-]{36}", login.method_id)
    assert len({seconds for seconds, _ in them._recent}) == 1, "it took its time"


@pytest.mark.parametrize("kind", ["billing_not_verified_for_email", "no_match_for_provided_oauth_url"])
async def test_why_nothing_was_sent_is_in_the_log(kind: str) -> None:
    clock, chance = Clock(1000.0), random.Random(1)
    stytch = SlowStytch(clock, chance)
    stytch.failing = Rejected(400, kind)
    with capture_logs() as lines, pytest.raises(Down):
        await took(people(stytch, clock, chance), clock, "ada@example.com")
    assert [(line["event"], line["error_type"]) for line in lines] == [("not sent", kind)]


async def test_limits_do_not_tell_either() -> None:
    clock, chance = Clock(1000.0), random.Random(1)
    them = people(SlowStytch(clock, chance), clock, chance)
    for address in ("ada@example.com", "eve@example.org"):
        for _ in range(MOST_SENDS):
            await took(them, clock, address)
        with pytest.raises(TooOften):
            await took(them, clock, address)


def test_a_limit_slides() -> None:
    clock = Clock(0.0)
    limit = Limit(2, 10, clock)
    assert limit.take("a") == 0
    clock.forward(4)
    assert limit.take("a") == 0
    assert limit.take("a") == 6
    assert limit.take("b") == 0
    clock.forward(6)
    assert limit.take("a") == 0
    assert limit.take("a") == 4


def test_bounds_are_bounded_themselves() -> None:
    clock = Clock(0.0)
    limit, tries, once = Limit(1, 10, clock), Tries(1), Once(10, clock)
    for number in range(MOST_KEYS + 1):
        limit.take(str(number))
        tries.take(str(number), 1.0)
        once.take(str(number))
    assert limit.take("1") > 0
    assert limit.take("0") == 0
    assert not tries.take("2", 1.0)
    assert tries.take("0", 1.0)
    assert not once.take("0")
    clock.forward(11)
    assert once.take("0")


def test_tries_are_for_the_newest_code() -> None:
    tries = Tries(2)
    assert tries.take("a", 1.0)
    assert tries.take("a", 1.0)
    assert not tries.take("a", 1.0)
    assert tries.take("a", 2.0), "a new code"
    assert tries.take("a", 1.0), "an older form guesses at the newest code as well"
    assert not tries.take("a", 2.0)


def test_once_can_be_given_back() -> None:
    once = Once(10, Clock(0.0))
    assert once.take("a")
    once.give_back("a")
    assert once.take("a")
    once.give_back("never taken")


PROXIES = "127.0.0.1,172.16.0.0/12,fd00::/8"


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("203.0.113.5", {}, "203.0.113.5"),
        ("203.0.113.5", {"x-forwarded-for": "1.1.1.1", "cf-connecting-ip": "2.2.2.2"}, "203.0.113.5"),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.5"}, "203.0.113.5"),
        ("127.0.0.1", {"x-forwarded-for": "9.9.9.9, 203.0.113.5, 172.16.0.7"}, "203.0.113.5"),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.5", "cf-connecting-ip": "9.9.9.9"}, "203.0.113.5"),
        ("127.0.0.1", {"x-forwarded-for": "172.16.0.7", "cf-connecting-ip": "203.0.113.5"}, "203.0.113.5"),
        ("127.0.0.1", {"cf-connecting-ip": "203.0.113.5"}, "203.0.113.5"),
        ("127.0.0.1", {"cf-connecting-ip": "nonsense"}, None),
        ("127.0.0.1", {"x-forwarded-for": "nonsense, 172.16.0.7"}, None),
        ("127.0.0.1", {}, None),
        ("127.0.0.1", {"x-forwarded-for": "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"),
        ("127.0.0.1", {"x-forwarded-for": "::ffff:203.0.113.5"}, "203.0.113.5"),
        ("fd00::1", {"x-forwarded-for": "[2001:db8::1]"}, "2001:db8::/64"),
    ],
    ids=str,
)
def test_where_a_request_came_from(peer: str, headers: dict[str, str], expected: str | None) -> None:
    given: dict[str, Any] = {"public_url": "https://a.example", "trusted_proxies": PROXIES}
    settings = Settings(**given)
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    asked = Request({"type": "http", "client": (peer, 1), "headers": lines})
    assert client_address(asked, settings.trusted_proxies) == expected
    assert client_address(asked, ()) is None
    assert client_address(Request({"type": "http", "client": None, "headers": lines}), settings.trusted_proxies) is None
