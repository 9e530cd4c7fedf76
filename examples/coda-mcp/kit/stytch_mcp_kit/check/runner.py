"""One run: which checks, in what order, and what came of them."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

import anyio
import httpx

from stytch_mcp_kit.check.areas import AREAS, CHECKS
from stytch_mcp_kit.check.clients import Facts, Verdict, judge
from stytch_mcp_kit.check.local_issuer import LocalIssuer
from stytch_mcp_kit.check.login import Browse, Login, clean_up
from stytch_mcp_kit.check.registry import Check, Level, Needs, NotApplicable, NotReached, shown
from stytch_mcp_kit.check.walk import Walk
from stytch_mcp_kit.check.web import Resolve, Web, resolve

HIDDEN: Final = "(secret)"
SHORTEST_SECRET: Final = 8
LONGEST_DETAIL: Final = 2000
JWT: Final = re.compile(r"eyJ[\w-]{8,}(\.[\w-]*){0,4}")


class Status(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    NOT_REACHED = "not reached"
    NOT_APPLICABLE = "not applicable"
    NOT_ASKED = "not asked"
    """It needs an option that was not given."""


@dataclass(frozen=True)
class Result:
    check: Check
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Options:
    """What a run may do, and with what it is done; all that is not the wish of a person is there for tests."""

    url: str
    register: bool = False
    token: str | None = None
    log_in: bool = False
    full: bool = False
    client_id: str | None = None
    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    seconds: float = 10.0
    deadline_seconds: float = 240.0
    login_seconds: float = 300.0
    ca_file: str | None = None
    browse: Browse | None = None
    transport: httpx.AsyncBaseTransport | None = None
    resolve: Resolve = resolve
    clock: Callable[[], float] = time.monotonic
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    @property
    def abilities(self) -> frozenset[Needs]:
        able = {Needs.NOTHING}
        if self.register or self.log_in or self.full:
            able.add(Needs.REGISTER)
        if self.token is not None or self.log_in or self.full:
            able.add(Needs.TOKEN)
        if self.log_in or self.full:
            able.add(Needs.LOGIN)
        if self.full:
            able.add(Needs.ISSUER)
        return frozenset(able)

    @property
    def depth(self) -> str:
        if self.full:
            return "full"
        names = [("log-in", self.log_in), ("registration", self.register), ("token", self.token is not None)]
        return " and ".join(name for name, asked in names if asked) or "passive"

    def wants(self, check: Check) -> bool:
        """Whether `only` and `skip`, ids or their prefixes, leave it in."""
        chosen = not self.only or check.id in self.only or check.id[:2] in self.only
        return chosen and check.id not in self.skip and check.id[:2] not in self.skip


@dataclass(frozen=True)
class Report:
    """What a run found. `unreachable`: why nothing was checked at all."""

    url: str
    depth: str
    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    unreachable: str | None = None
    requests: int = 0
    seconds: float = 0.0

    def of(self, status: Status) -> list[Result]:
        return [result for result in self.results if result.status is status]

    def failing(self, level: Level) -> list[Result]:
        return [result for result in self.of(Status.FAILS) if result.check.level is level]

    @property
    def first_broken(self) -> Result | None:
        """The first hop that stops a client: the first MUST that fails, in the order of the walk."""
        return next(iter(self.failing(Level.MUST)), None)

    @property
    def exit_code(self) -> int:
        """0: every MUST holds, 1: one fails, 2: the server cannot be reached. (3 is wrong usage.)"""
        if self.unreachable is not None:
            return 2
        return 1 if self.failing(Level.MUST) else 0


class NoLocalIssuer(Exception):
    """The depth `full` was asked for, and there are no test controls of a local Stytch."""


async def run(
    options: Options, facts: Facts, clients: Sequence[str] = (), on_result: Callable[[Result], None] | None = None
) -> Report:
    """Checks one server. Raises NoLocalIssuer; whatever the server does is in the report."""
    began = options.clock()
    web = Web(
        transport=options.transport,
        resolve=options.resolve,
        clock=options.clock,
        seconds=options.seconds,
        deadline_seconds=options.deadline_seconds,
        ca_file=options.ca_file,
    )
    profiles = [facts.profiles[name] for name in clients or facts.profiles]
    login = Login(browse=options.browse, seconds=options.login_seconds, client_id=options.client_id)
    async with web:
        walk = Walk(
            options.url,
            web,
            abilities=options.abilities,
            given_token=options.token,
            log_in=login if options.abilities & {Needs.REGISTER, Needs.LOGIN} else None,
            redirect_uris={profile.name: profile.redirect_uris for profile in facts.profiles.values()},
            user_agents=tuple(agent for profile in facts.profiles.values() for agent in profile.user_agents),
        )
        walk.keep_secret(options.token)
        try:
            problem = await first_contact(walk)
            if problem is not None:
                return Report(walk.url, options.depth, (), unreachable=problem, requests=web.requests)
            if options.full:
                await use_local_issuer(walk, login)
            results = await run_checks(walk, options, on_result)
            verdicts = await judge_clients(walk, profiles, results)
            walk.notes += await remarks(walk)
            with anyio.move_on_after(options.seconds):
                await walk.goodbye()
                await clean_up(walk)
        finally:
            login.close()
    notes = [*walk.notes, *([warning] if (warning := facts.warning(options.today)) else [])]
    return Report(
        walk.url,
        options.depth,
        tuple(results),
        tuple(verdicts),
        tuple(hidden(walk, note) for note in notes),
        requests=web.requests,
        seconds=options.clock() - began,
    )


async def remarks(walk: Walk) -> list[str]:
    """What a person should know about the run as a whole."""
    said = []
    if Needs.LOGIN in walk.abilities:
        try:
            await walk.session()
        except (NotReached, NotApplicable) as reason:
            said.append(f"Nobody is logged in, so much was not reached: {reason}.")
    if walk.web.limited:
        said.append(f"{walk.web.limited} answers were 429, too many requests: some findings may come from that.")
    return said


async def first_contact(walk: Walk) -> str | None:
    """Why there is nothing to check, if so. A bad certificate is a finding, and no reason to stop."""
    lost = await walk.web.settle(walk.url)
    answer = lost or await walk.refused()
    return answer.problem if not answer.status and answer.kind != "tls" else None


async def use_local_issuer(walk: Walk, login: Login) -> None:
    try:
        issuer = LocalIssuer(walk, await walk.issuer())
    except NotReached:
        return  # why not is a finding
    if not walk.is_local or not await issuer.answers():
        raise NoLocalIssuer(f"{shown(issuer.issuer)} has no test controls")
    walk.mint = issuer.mint
    login.page = issuer.page


async def run_checks(walk: Walk, options: Options, on_result: Callable[[Result], None] | None) -> list[Result]:
    """Area by area, as a client comes by; within one area at the same time, bounded by `Web`."""
    found: dict[str, Result] = {}

    async def one(check: Check) -> None:
        found[check.id] = result = await outcome(walk, check)
        if on_result is not None:
            on_result(result)

    for area in AREAS:
        async with anyio.create_task_group() as tasks:
            for check in area:
                if options.wants(check):
                    tasks.start_soon(one, check)
    return [found[check.id] for check in CHECKS if check.id in found]


async def outcome(walk: Walk, check: Check) -> Result:
    """Runs one check; whatever the server made it trip over is a finding too."""
    first = await walk.refused()
    if check.needs not in walk.abilities and not (check.needs is Needs.TOKEN and first.status == 200):
        return Result(check, Status.NOT_ASKED)
    if not first.status and check.area != AREAS[0].name:
        return Result(check, Status.NOT_REACHED, "the URL does not answer")
    try:
        finding = await check.run(walk)
    except NotApplicable as reason:
        return Result(check, Status.NOT_APPLICABLE, hidden(walk, str(reason)))
    except NotReached as reason:
        return Result(check, Status.NOT_REACHED, hidden(walk, str(reason)))
    except Exception as error:  # noqa: BLE001 - whatever a server answers, the other checks still run
        return Result(check, Status.FAILS, f"the answer cannot be made sense of ({type(error).__name__})")
    return Result(check, Status.HOLDS) if finding is None else Result(check, Status.FAILS, hidden(walk, finding))


def hidden(walk: Walk, text: str) -> str:
    """The text without anything that is secret, nor the beginning of it: findings quote, and cut what they quote.

    And fit for a terminal, whatever a server said.
    """
    for secret in sorted(walk.secrets, key=len, reverse=True):
        start = 0
        while (start := text.find(secret[:SHORTEST_SECRET], start)) >= 0:
            same = (one == other for one, other in zip(text[start:], secret, strict=False))
            text = text[:start] + HIDDEN + text[start + sum(takewhile(bool, same)) :]
            start += len(HIDDEN)
    return shown(JWT.sub(HIDDEN, text), LONGEST_DETAIL)


async def judge_clients(walk: Walk, profiles: Sequence[Any], results: Sequence[Result]) -> list[Verdict]:
    try:
        server: dict[str, Any] | None = (await walk.server()).values
    except (NotReached, NotApplicable):
        server = None
    failed = [result.check for result in results if result.status is Status.FAILS]
    unknown = [result.check for result in results if result.status in (Status.NOT_ASKED, Status.NOT_REACHED)]
    return [judge(profile, server, failed, unknown, walk.is_local) for profile in profiles]
