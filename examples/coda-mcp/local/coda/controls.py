"""`/_test/`: what tests do to the stand-in and Coda has not. JSON in, JSON out, no token.

| control | body | |
|---|---|---|
| `POST /_test/reset` | | all is as at start; the injected clock stays where it is |
| `POST /_test/clock` | `{"advance_seconds": 20}` | answers `now` |
| `GET`, `POST /_test/settings` | some of `config.Settings` | answers all |
| `POST /_test/faults` | `{route: fault (1)}` | `*` in a route stands for anything; `GET /path`: one method |
| `DELETE /_test/faults` | | takes all away, held requests go on |
| `POST /_test/fates` | `{"next": [fate (2)]}` | what becomes of the next changes or exports |
| `GET`, `DELETE /_test/requests` | | what was asked, oldest first |
| `POST /_test/rows` | `{"doc", "table", "count"}` | so many rows more, at once |
| `POST /_test/lines` | `{"doc", "page", "count", "length"}` | so many lines more, at once |

1. See `faults.Fault`.
2. Of a change `{"warning": text}` or `{"stuck": true}`, of an export `{"export_error": text}`, `{}` for the usual one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.coda.call import by_key, find_doc
from local.coda.config import Settings
from local.coda.faults import Fault
from local.coda.model import Element, Row, Span, new_id
from local.coda.wire import bad_request, read_body
from local.coda.world import World, world_of

FAULTS = TypeAdapter(dict[str, Fault])
SETTINGS = TypeAdapter(Settings)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(Strict):
    advance_seconds: float


class Fate(Strict):
    warning: str | None = None
    stuck: bool = False
    export_error: str | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Fate:
        if self.export_error is not None and (self.stuck or self.warning is not None):
            raise ValueError("a change is no export")
        return self


class Fates(Strict):
    next: list[Fate]


class Growth(Strict):
    doc: str
    table: str
    count: int


class Lines(Strict):
    doc: str
    page: str
    count: int
    length: int = 100


def control(handler: Callable[[World, bytes], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            content = handler(world_of(request), await read_body(request))
            return Response(to_json(content, inf_nan_mode="strings"), media_type="application/json")
        except ValidationError as error:
            first = error.errors()[0]
            raise bad_request("control", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return endpoint


def reset(world: World, _: bytes) -> dict[str, Any]:
    clear_faults(world, b"")
    world.reset()
    return {}


def advance(world: World, body: bytes) -> dict[str, Any]:
    world.clock_offset += Advance.model_validate_json(body).advance_seconds
    world.settle()
    return {"now": world.now()}


def get_settings(world: World, _: bytes) -> dict[str, Any]:
    return dataclasses.asdict(world.settings)


def set_settings(world: World, body: bytes) -> dict[str, Any]:
    """All or nothing: an unknown name or a wrong type changes no setting."""
    given = TypeAdapter(dict[str, Any]).validate_json(body)
    known = dataclasses.asdict(world.settings)
    unknown = given.keys() - known.keys()
    if unknown:
        raise bad_request("control", f"There is no setting {', '.join(sorted(unknown))}. Settings: {', '.join(known)}.")
    world.settings = SETTINGS.validate_python(known | given)
    return dataclasses.asdict(world.settings)


def set_faults(world: World, body: bytes) -> dict[str, Any]:
    world.faults.update(FAULTS.validate_json(body))
    return {"faults": list(world.faults)}


def clear_faults(world: World, _: bytes) -> dict[str, Any]:
    for fault in world.faults.values():
        fault.release()
    world.faults.clear()
    return {}


def set_fates(world: World, body: bytes) -> dict[str, Any]:
    world.fates.clear()
    world.fates.extend(fate.model_dump(exclude_defaults=True) for fate in Fates.model_validate_json(body).next)
    return {"next": list(world.fates)}


def get_requests(world: World, _: bytes) -> dict[str, Any]:
    return {"requests": list(world.requests)}


def forget_requests(world: World, _: bytes) -> dict[str, Any]:
    world.requests.clear()
    return {}


def grow_table(world: World, body: bytes) -> dict[str, Any]:
    asked, now = Growth.model_validate_json(body), world.now()
    table = by_key(find_doc(world, asked.doc).tables, asked.table, "table")
    for number in range(asked.count):
        row = Row(new_id("i-"), now, now, {table.display: f"Row {number + 1}"})
        table.rows[row.row_id] = row
    return {"rows": len(table.rows)}


def grow_page(world: World, body: bytes) -> dict[str, Any]:
    asked = Lines.model_validate_json(body)
    page = by_key(find_doc(world, asked.doc).pages, asked.page, "page")
    for number in range(asked.count):
        text = f"Line {number + 1} ".ljust(asked.length, ".")
        page.elements.append(Element(new_id("cl-"), spans=[Span(text)]))
    return {"elements": len(page.elements)}


ROUTES = [
    Route("/_test/reset", control(reset), methods=["POST"]),
    Route("/_test/clock", control(advance), methods=["POST"]),
    Route("/_test/settings", control(get_settings), methods=["GET"]),
    Route("/_test/settings", control(set_settings), methods=["POST"]),
    Route("/_test/faults", control(set_faults), methods=["POST"]),
    Route("/_test/faults", control(clear_faults), methods=["DELETE"]),
    Route("/_test/fates", control(set_fates), methods=["POST"]),
    Route("/_test/requests", control(get_requests), methods=["GET"]),
    Route("/_test/requests", control(forget_requests), methods=["DELETE"]),
    Route("/_test/rows", control(grow_table), methods=["POST"]),
    Route("/_test/lines", control(grow_page), methods=["POST"]),
]
