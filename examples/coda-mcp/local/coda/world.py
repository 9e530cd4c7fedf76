"""Everything that Coda remembers, and the queue of changes that it has accepted but not made yet."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.requests import HTTPConnection

from local.coda.config import Config
from local.coda.model import Doc, Folder, Group, Member, Token, User, Workspace

LOG_LENGTH = 10_000
STATUS_SECONDS = 86_400.0


def iso(moment: float) -> str:
    """A moment as Coda writes it: `2018-04-11T00:18:57.946Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date(moment: float) -> str:
    """The day of a moment."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


@dataclass(order=True)
class Mutation:
    """A change that was answered with 202. It is complete at `due` and seen at `visible`."""

    visible: float
    number: int
    due: float = field(compare=False)
    accepted: float = field(compare=False)
    doc_id: str = field(compare=False)
    apply: Callable[[float], None] = field(compare=False)
    warning: str | None = field(compare=False)
    request_id: str = field(compare=False, default_factory=lambda: f"mutate:{uuid4()}")


@dataclass
class Export:
    export_id: str
    doc_id: str
    page_id: str
    format: str
    begun: float
    due: float
    error: str | None = None


class World:
    """One Coda. `reset` makes it as new; only the clock goes on."""

    def __init__(self, config: Config, plant: Callable[[World], None]) -> None:
        self.config = config
        self.plant = plant
        self.reset()

    def reset(self) -> None:
        self.settings = self.config.settings()
        self.clock_offset = 0.0
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.tokens: dict[str, Token] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.folders: dict[str, Folder] = {}
        self.docs: dict[str, Doc] = {}
        self.mutations: dict[str, Mutation] = {}
        self.exports: dict[str, Export] = {}
        self.blobs: dict[str, bytes] = {}
        self.signatures: dict[str, float] = {}
        self.fates: deque[dict[str, Any]] = deque()
        self.faults: dict[str, Any] = {}
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.windows: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._queue: list[Mutation] = []
        self._numbers = itertools.count()
        self.plant(self)

    def now(self) -> float:
        return self.config.clock() + self.clock_offset

    def enqueue(self, doc: Doc, seconds: float, apply: Callable[[float], None], warning: str | None = None) -> Mutation:
        """Accept a change of a doc. Changes of one doc are made in the order in which they came."""
        fate = self.fates.popleft() if self.fates and "export_error" not in self.fates[0] else {}
        now = self.now()
        earlier = [one.due for one in self._queue if one.doc_id == doc.doc_id and math.isfinite(one.due)]
        due = math.inf if fate.get("stuck") else max([now + seconds, *earlier])
        mutation = Mutation(
            visible=due + self.settings.snapshot_seconds,
            number=next(self._numbers),
            due=due,
            accepted=now,
            doc_id=doc.doc_id,
            apply=apply,
            warning=fate.get("warning", warning),
        )
        self.mutations[mutation.request_id] = mutation
        heapq.heappush(self._queue, mutation)
        self.settle()
        return mutation

    def settle(self) -> None:
        """Make every change whose time has come, and forget what nobody may ask for any more."""
        now = self.now()
        while self._queue and self._queue[0].visible <= now:
            mutation = heapq.heappop(self._queue)
            mutation.apply(mutation.due)
            self.docs[mutation.doc_id].updated_at = mutation.due
        while self.mutations and (oldest := next(iter(self.mutations.values()))).accepted + STATUS_SECONDS <= now:
            del self.mutations[oldest.request_id]

    def is_stale(self, doc: Doc) -> bool:
        """Whether a change of the doc is still on its way."""
        return any(mutation.doc_id == doc.doc_id for mutation in self._queue)

    def member(self, workspace_id: str, email: str) -> Member | None:
        return self.workspaces[workspace_id].members.get(email)


def world_of(connection: HTTPConnection) -> World:
    world: World = connection.app.state.coda
    return world
