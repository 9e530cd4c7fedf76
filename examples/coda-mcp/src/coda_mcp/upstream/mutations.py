"""Changes that Coda has accepted and not yet carried out."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal

from .calls import Calls
from .errors import CodaError
from .http import Http
from .timing import Timing

FIRST_LOOK_SECONDS = 1.0
NEXT_LOOK_SECONDS = 2.0
LONGEST_LOOK_SECONDS = 15.0
UNKNOWN_SECONDS = 30.0
MOST_REMEMBERED = 20
# Changes took Coda 10 to 20 seconds when measured; after so long a read does not wait for one any more.
WORTH_WAITING_SECONDS = 120.0
# What is left of a call's time for the reading itself, after it has waited for a change.
READING_SECONDS = 10.0

Status = Literal["applied", "pending", "applied_with_warning"]


@dataclass(frozen=True)
class Outcome:
    """Where a change stands. There is no "failed": Coda does not tell, it refuses at once or applies later."""

    status: Status
    warning: str | None = None


@dataclass(frozen=True)
class Accepted:
    """A change that Coda has accepted, and when, in the seconds of `Timing.now`."""

    request_id: str
    at: float


class Mutations:
    """Waits for changes, and remembers by doc which ones nobody has seen complete.

    Only those of this process: what another replica or another program writes, it does not know of.
    """

    def __init__(self, http: Http, calls: Calls, timing: Timing) -> None:
        self._http = http
        self._calls = calls
        self._timing = timing
        self._unseen: dict[tuple[str, str], deque[Accepted]] = defaultdict(lambda: deque(maxlen=MOST_REMEMBERED))

    async def note(self, doc_id: str, request_id: str) -> None:
        """Coda has accepted a change of this doc."""
        self._unseen[await self._key(doc_id)].append(Accepted(request_id, self._timing.now()))

    async def status(self, request_id: str) -> Outcome | None:
        """What Coda says now; None while it does not know the change yet. Raises CodaError for other failures."""
        try:
            answer = await self._http.request("GET", "mutationStatus", request_id, repeatable=True)
        except CodaError as error:
            if error.status == 404:
                return None
            raise
        if answer.get("completed") is not True:
            return Outcome("pending")
        self._forget(request_id)
        warning = answer.get("warning")
        return Outcome("applied_with_warning", str(warning)) if warning else Outcome("applied")

    async def wait(self, request_id: str, deadline: float | None = None) -> Outcome:
        """Looks again and again until the change is complete, or pending when the deadline comes. Tells progress."""
        call = self._calls.current
        deadline = call.deadline if deadline is None else min(deadline, call.deadline)
        started, pause = self._timing.now(), FIRST_LOOK_SECONDS
        while self._timing.now() + pause < deadline:
            await self._timing.sleep(pause)
            try:
                outcome = await self.status(request_id)
            except CodaError as error:
                if not error.retryable:
                    raise
                outcome = Outcome("pending")
            waited = self._timing.now() - started
            if outcome is None and waited > UNKNOWN_SECONDS:
                return Outcome("pending", "Coda does not know this change (any more).")
            if outcome is not None and outcome.status != "pending":
                return outcome
            await call.tell(f"Coda has accepted the change and not applied it yet ({waited:.0f} s)")
            pause = NEXT_LOOK_SECONDS if pause == FIRST_LOOK_SECONDS else min(pause * 1.5, LONGEST_LOOK_SECONDS)
        return Outcome("pending")

    async def settle(self, doc_id: str) -> None:
        """Before a read: waits for the changes that were made here, as long as the call's time allows."""
        for accepted in list(self._unseen.get(await self._key(doc_id), ())):
            if self._timing.now() - accepted.at <= WORTH_WAITING_SECONDS:
                outcome = await self.wait(accepted.request_id, self._calls.current.deadline - READING_SECONDS)
                if outcome.status == "pending" and outcome.warning is None:
                    return
            self._forget(accepted.request_id)

    async def _key(self, doc_id: str) -> tuple[str, str]:
        return (await self._http.credential()).name, doc_id

    def _forget(self, request_id: str) -> None:
        for key, unseen in list(self._unseen.items()):
            for accepted in [each for each in unseen if each.request_id == request_id]:
                unseen.remove(accepted)
            if not unseen:
                del self._unseen[key]
