"""What a stand-in is at its start, and the switches that a test turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Limit = list[float]
"""Requests and the seconds in which so many are let through."""


@dataclass(frozen=True)
class Timings:
    """How long Coda takes, in seconds."""

    edit: float = 0.05
    insert: float = 0.05
    delete: float = 0.05
    export: float = 0.05


FAST = Timings()
# Measured on a small doc: a page edit 16 to 18 s, a new row about 20 s, a deleted row about 10 s, an export below 2 s.
FAITHFUL = Timings(edit=17, insert=20, delete=10, export=1.5)


@dataclass
class Settings:
    """Everything that `/_test/settings` shows and changes; times are seconds."""

    edit_seconds: float
    insert_seconds: float
    delete_seconds: float
    export_seconds: float
    limits: bool = True
    retry_after: bool = False
    """Whether a 429 has the header. UNCONFIRMED which of the two Coda does, so both are here."""
    reading: Limit = field(default_factory=lambda: [100, 6])
    writing: Limit = field(default_factory=lambda: [10, 6])
    content: Limit = field(default_factory=lambda: [5, 10])
    """The developer pages say 5 in 10 s, the help pages 3: UNCONFIRMED which holds."""
    listing: Limit = field(default_factory=lambda: [4, 6])
    analytics: Limit = field(default_factory=lambda: [100, 6])
    max_page_size: int = 100
    """UNCONFIRMED: Coda publishes no number."""
    snapshot_seconds: float = 0
    """From a change being complete to being seen."""
    link_seconds: float = 300
    """How long a download link is good."""
    create_doc_seconds: float = 0
    """From createDoc's 201 to the doc being found. UNCONFIRMED how long that is."""
    status_404_seconds: float = 0
    """How long mutationStatus does not know a new request."""
    export_404_seconds: float = 0
    """How long an export's status is not found."""
    rows_504_above: int | None = None
    """listRows with a larger limit ends in 504, as on big docs."""
    blob_origin: str | None = None
    """Where download links point; None: to where the caller found the API."""


@dataclass
class Config:
    """`clock`: seconds since the epoch. `in_process`: there is no connection to drop, so httpx's error is raised."""

    clock: Callable[[], float] = time.time
    timings: Timings = FAST
    in_process: bool = False
    limits: bool = True

    def settings(self) -> Settings:
        timings = self.timings
        return Settings(timings.edit, timings.insert, timings.delete, timings.export, limits=self.limits)
