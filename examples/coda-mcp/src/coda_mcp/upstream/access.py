"""Which docs may be used at all: CODA_DOC_IDS."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from .errors import CodaError


class Access:
    """Judges doc IDs. Every request of the client passes here, so no tool can forget it."""

    def __init__(self, doc_ids: Iterable[str]) -> None:
        self.doc_ids = frozenset(doc_ids)

    def allows(self, doc_id: str | None) -> bool:
        """Whether a doc may be used."""
        return not self.doc_ids or doc_id in self.doc_ids

    def require(self, doc_id: str) -> None:
        """Raises CodaError for a doc that may not be used, whether or not it exists."""
        if not self.allows(doc_id):
            raise CodaError("not_allowed", "This server serves other docs only. List them with coda_list_docs.")

    def require_unrestricted(self, what: str) -> None:
        """Raises CodaError for what concerns docs that no ID is given of."""
        if self.doc_ids:
            raise CodaError(
                "not_allowed", f"This server serves {len(self.doc_ids)} docs only (CODA_DOC_IDS): no {what}."
            )

    def check(self, segments: tuple[str, ...]) -> None:
        """Raises CodaError when a path of the API leads into a doc that may not be used."""
        doc_id = doc_of(segments)
        if doc_id is not None:
            self.require(doc_id)


def doc_of(segments: tuple[str, ...]) -> str | None:
    """The doc that a path of the API is about."""
    if segments[0] == "docs" and len(segments) > 1:
        return segments[1]
    if segments[:2] == ("analytics", "docs") and segments[3:4] == ("pages",):
        return segments[2]
    return None


def doc_of_href(href: str) -> str | None:
    """The doc that a link of the API is about."""
    path = urlsplit(href).path.partition("/apis/v1/")[2]
    return doc_of(tuple(map(unquote, path.split("/")))) if path else None
