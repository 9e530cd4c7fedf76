"""Automations that a webhook starts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from local.coda.call import Call, Query, operation
from local.coda.page_edits import accepted
from local.coda.wire import ApiError, bad_request, read_body

PAYLOAD = TypeAdapter(dict[str, Any])


async def trigger(call: Call[Query]) -> Response:
    """UNCONFIRMED: that 422 is for a rule that is switched off."""
    doc = call.doc(write=True)
    rule = doc.automations.get(call.path["rule"])
    if rule is None:
        raise ApiError(404)
    if not rule.enabled:
        raise ApiError(422, why=f"{rule.name} is switched off")
    payload = await _payload(call)

    def apply(now: float) -> None:
        rule.run(doc, payload, now)

    return accepted(call.world.enqueue(doc, call.world.settings.insert_seconds, apply))


async def _payload(call: Call[Query]) -> dict[str, Any]:
    """A JSON object, a form, or text. None at all is fine."""
    text = (await read_body(call.request)).decode("utf-8", "replace")
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text:
        return {}
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(text))
    if kind == "text/plain":
        return {"text": text}
    try:
        return PAYLOAD.validate_json(text)
    except ValidationError:
        raise bad_request("the payload is no JSON object") from None


ROUTES = [operation("POST", "/docs/{doc}/hooks/automation/{rule}", trigger, "writing")]
