"""Paths of the API: every segment is one segment, whatever is in it."""

from __future__ import annotations

from urllib.parse import quote

from .errors import refused

LONGEST_SEGMENT = 500


def path(segments: tuple[str, ...]) -> str:
    """The path of these segments below `/apis/v1`. Raises CodaError for what would lead elsewhere."""
    return "/".join(quote(checked(segment), safe="") for segment in segments)


def checked(segment: str) -> str:
    """An ID or a name as it may stand in a path."""
    if not segment.strip():
        raise refused("An ID or name is empty. Get one from the matching list tool.")
    if segment in (".", ".."):
        raise refused(f"{segment!r} is not an ID or a name. Get one from the matching list tool.")
    if len(segment) > LONGEST_SEGMENT:
        raise refused(f"An ID or name has {len(segment)} characters, at most {LONGEST_SEGMENT} are possible.")
    if not segment.isprintable():
        raise refused(f"{segment!r} has characters that no ID or name has. Get one from the matching list tool.")
    return segment
