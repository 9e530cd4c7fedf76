"""Lists in pages. A page token holds the whole question, so it is all that has to be sent for the next page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from local.coda.wire import ApiError

Item = TypeVar("Item")


def encode(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(token: str) -> dict[str, Any]:
    """Raises ApiError in Coda's words; they are the same for a sync token."""
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError):
        raise ApiError(400, "Invalid pageToken.") from None
    if not isinstance(content, dict):
        raise ApiError(400, "Invalid pageToken.")
    return content


def question(path: str, token: str) -> tuple[dict[str, str], int]:
    """The parameters and the offset in a page token, which must be of this path."""
    content = decode(token)
    parameters, offset = content.get("parameters"), content.get("offset")
    if content.get("path") != path or not isinstance(parameters, dict) or not isinstance(offset, int) or offset < 0:
        raise ApiError(400, "Invalid pageToken.")
    return parameters, offset


def page(
    url: str,
    path: str,
    parameters: dict[str, str],
    offset: int,
    limit: int,
    items: Iterable[Item],
    render: Callable[[Item], Any],
    key: str = "items",
) -> dict[str, Any]:
    """`limit` of the items from `offset` on, and the way to those after them."""
    found = list(islice(items, offset, offset + limit + 1))
    content: dict[str, Any] = {key: [render(item) for item in found[:limit]]}
    if len(found) > limit:
        token = encode({"path": path, "parameters": parameters, "offset": offset + limit})
        content |= {"nextPageToken": token, "nextPageLink": f"{url}?pageToken={token}"}
    return content
