"""Who may log in by e-mail, and that nobody can tell from outside who may.

Every address takes the same way: it is looked up, then something is sent or not. For those who are not admitted
nothing is sent and nobody is created; the answer is the same and takes as long as recent sends took.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import structlog

from stytch_mcp.protect.policy import EVERYONE, AccessRules, fold
from stytch_mcp.protect.remote import Clock
from stytch_mcp.signin.cookies import Login
from stytch_mcp.signin.limits import Limit, Tries
from stytch_mcp.signin.stytch import Down, LoggedIn, Rejected, Stytch, User

RESEND_SECONDS = 30
WINDOW_SECONDS = 15 * 60.0
MOST_SENDS = 5
MOST_SENDS_FROM = 20
MOST_TRIES = 5
MOST_TRIES_FROM = 50
RECENT_SENDS = 50
LEARNING = 0.2
MOST_LATE = 0.05

Outcome = tuple[float, type[Down] | None]

log = structlog.get_logger("stytch_mcp.signin")


class TooOften(Exception):
    """Not now. `seconds` is how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


class TooManyTries(Exception):
    """The code that was sent is not good for another guess."""


class NotAdmitted(Exception):
    """This person is logged in at Stytch, and no rule admits them here."""

    def __init__(self, user: User) -> None:
        super().__init__(user.principal.subject)
        self.user = user


class People:
    """Logs people in at Stytch, as far as the rules admit them. Times in seconds; `now` since the epoch."""

    def __init__(
        self,
        stytch: Stytch,
        rules: AccessRules,
        *,
        live: bool,
        now: Clock = time.time,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        choose: Callable[[Sequence[Outcome]], Outcome] = secrets.choice,
    ) -> None:
        self._stytch = stytch
        self._rules = rules
        self._id = "email-live-" if live else "email-test-"
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._choose = choose
        self._late = 0.0
        self._recent: deque[Outcome] = deque(maxlen=RECENT_SENDS)
        self._sends = Limit(MOST_SENDS, WINDOW_SECONDS, clock)
        self._sends_from = Limit(MOST_SENDS_FROM, WINDOW_SECONDS, clock)
        self._tries_from = Limit(MOST_TRIES_FROM, WINDOW_SECONDS, clock)
        self._tries = Tries(MOST_TRIES)

    def admits(self, user: User) -> bool:
        """Whether a rule admits a person whom Stytch has identified."""
        rules, principal = self._rules, user.principal
        return rules.admits_subject(principal) or rules.admits_email(principal.emails)

    async def send(
        self, kind: str, address: str, origin: str | None, *, url: str, verifier: str, challenge: str
    ) -> tuple[Login, bool]:
        """Sends a code or a link, or acts as if. Whether it did, only the log may know. Raises TooOften, Down."""
        address = fold(address)
        for limit, key in ((self._sends_from, origin), (self._sends, address)):
            wait = limit.take(key) if key is not None else 0
            if wait:
                raise TooOften(wait)
        await self._stytch.open()
        began = self._clock()
        found = await self._stytch.find(address)
        admitted = self._may_receive(address, found)
        if admitted:
            method_id = await self._timed(
                self._stytch.send_code(address)
                if kind == "email-code"
                else self._stytch.send_link(address, url, challenge)
            )
        else:
            method_id = self._dummy_id()
            # Without any send to go by, another round trip like the one just made is the best guess.
            seconds, failure = self._choose(self._recent) if self._recent else (self._clock() - began, None)
            await self._pass(seconds)
            if failure is not None:
                raise failure
        return Login(kind, address, method_id, verifier, self._now()), admitted

    async def check_code(self, login: Login, code: str, origin: str | None) -> LoggedIn:
        """Logs in with a code. Raises Rejected when it is wrong, TooManyTries, TooOften, NotAdmitted, Down."""
        self.count_try(origin)
        if not self._tries.take(login.address, login.sent_at):
            raise TooManyTries
        return await self._admit(await self._stytch.check_code(login.method_id, code))

    async def check_token(self, kind: str, token: str, verifier: str, origin: str | None) -> LoggedIn:
        """Logs in with the token of a link or of a provider. Raises like `check_code`."""
        self.count_try(origin)
        return await self._admit(await self._stytch.check_token(kind, token, verifier))

    def count_try(self, origin: str | None) -> None:
        """One more try from a client address. Raises TooOften."""
        wait = self._tries_from.take(origin) if origin is not None else 0
        if wait:
            raise TooOften(wait)

    async def log_out(self, session_token: str) -> None:
        """Ends a session at Stytch; one that is gone already has ended too."""
        try:
            await self._stytch.log_out(session_token)
        except Rejected:
            return

    def _may_receive(self, address: str, user_id: str | None) -> bool:
        rules = self._rules
        return EVERYONE in rules.users or rules.admits_email([address]) or user_id in rules.users

    def _dummy_id(self) -> str:
        return f"{self._id}{uuid4()}"

    async def _pass(self, seconds: float) -> None:
        """Lets time pass. Timers are a little late, by about as much each time, so they are set that much earlier."""
        began = self._clock()
        await self._sleep(max(0.0, seconds - self._late))
        late = self._late + LEARNING * (self._clock() - began - seconds)
        self._late = min(max(late, 0.0), MOST_LATE)

    async def _timed(self, send: Awaitable[str]) -> str:
        began = self._clock()
        try:
            method_id = await send
        except (Down, Rejected) as failure:
            if isinstance(failure, Rejected):
                log.warning("not sent", error_type=failure.kind)
                if failure.is_about_address:
                    # Only an address that is admitted gets so far: it must look like any other.
                    self._recent.append((self._clock() - began, None))
                    return self._dummy_id()
            kind = type(failure) if isinstance(failure, Down) else Down
            self._recent.append((self._clock() - began, kind))
            raise kind from None
        self._recent.append((self._clock() - began, None))
        return method_id

    async def _admit(self, logged_in: LoggedIn) -> LoggedIn:
        if not self.admits(logged_in.user):
            await self.log_out(logged_in.session_token)
            raise NotAdmitted(logged_in.user)
        return logged_in
