"""Many rows, written in several requests, with an account of what became of each row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .results import RowChange, RowOutcome

ROWS_AT_ONCE = 100
BYTES_AT_ONCE = 1_500_000

RowChangeT = TypeVar("RowChangeT", bound=RowChange)


class Batches:
    """Sends one batch after the other until one fails, then waits for all that were accepted."""

    def __init__(self, upstream: Upstream, wait: bool) -> None:
        self._upstream = upstream
        self._wait = wait
        self._answers: list[tuple[int, Json]] = []
        self._sent = 0
        self._failed: tuple[int, CodaError, bool] | None = None

    async def send(
        self,
        method: str,
        path: Sequence[str],
        body: Json,
        count: int,
        *,
        query: dict[str, Any] | None = None,
        repeatable: bool = False,
    ) -> bool:
        """Whether to go on. Raises CodaError when the first batch fails, and so nothing else was written."""
        try:
            answer = await self._upstream.send(method, *path, body=body, query=query, repeatable=repeatable)
        except CodaError as error:
            if not self._answers:
                raise
            unknown = error.kind in ("timeout", "unreachable", "bad_answer", "unavailable")
            self._failed = count, error, unknown
            return False
        self._answers.append((count, answer))
        self._sent += count
        await self._upstream.calls.current.tell(f"Coda has accepted {self._sent} rows", step=count)
        return True

    async def result(self, total: int, kind: type[RowChangeT]) -> RowChangeT:
        """What became of all the rows."""
        rows: list[RowOutcome] = []
        first = 0
        for count, answer in self._answers:
            outcome = await self._upstream.outcome(answer, self._wait)
            rows.append(RowOutcome(first=first, last=first + count - 1, status=outcome.status, warning=outcome.warning))
            first += count
        if self._failed is not None:
            count, error, unknown = self._failed
            if unknown:
                rows.append(RowOutcome(first=first, last=first + count - 1, status="unknown", error=error.as_dict()))
                first += count
            if first < total:
                why = None if unknown else error.as_dict()
                rows.append(RowOutcome(first=first, last=total - 1, status="not_sent", error=why))
        alike = len({row.status for row in rows}) == 1
        warnings = [row.warning for row in rows if row.warning]
        return kind.model_validate(
            {
                "status": rows[0].status if alike else "partly",
                "request_ids": [answer["requestId"] for _, answer in self._answers if "requestId" in answer],
                "added_row_ids": self._ids("addedRowIds"),
                "row_ids": self._ids("rowIds"),
                "warning": "; ".join(dict.fromkeys(warnings)) or None,
                "rows": None if alike else [row.model_dump() for row in rows],
            }
        )

    def _ids(self, name: str) -> list[str] | None:
        return [row_id for _, answer in self._answers for row_id in answer.get(name) or []] or None


def in_batches(edits: Sequence[Json]) -> Iterator[list[Json]]:
    """Parts of at most 100 rows and 1.5 MB, in order."""
    batch: list[Json] = []
    size = 0
    for edit in edits:
        weight = len(json.dumps(edit, ensure_ascii=False).encode(errors="replace"))
        if batch and (len(batch) == ROWS_AT_ONCE or size + weight > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(edit)
        size += weight
    if batch:
        yield batch
