"""Addresses of things in Coda: links of browsers, and the URIs that this server gives out."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .errors import refused

DOMAINS = ("coda.io", "docs.superhuman.com")
SCHEME = "coda"


def is_coda_link(text: str, api_origin: str) -> bool:
    """Whether this is a link into Coda, as a browser shows it."""
    try:
        parts = urlsplit(text.strip())
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if any(character.isspace() or not character.isprintable() for character in text.strip()) or parts.username:
        return False
    known = parts.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS)
    return known or f"{parts.scheme}://{parts.netloc}" == api_origin


@dataclass(frozen=True)
class Address:
    """A doc, or a page, table or row in it: `coda://docs/D`, `coda://docs/D/pages/P`, `coda://docs/D/tables/T/rows/R`."""

    doc_id: str
    page: str | None = None
    table: str | None = None
    row: str | None = None

    def __str__(self) -> str:
        parts = ["docs", self.doc_id]
        for kind, name in (("pages", self.page), ("tables", self.table), ("rows", self.row)):
            if name is not None:
                parts += [kind, name]
        return f"{SCHEME}://" + "/".join(quote(part, safe="") for part in parts)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises CodaError for what is no such URI."""
        scheme, _, rest = text.partition("://")
        parts = [unquote(part) for part in rest.split("/")]
        match parts if scheme == SCHEME else []:
            case ["docs", doc_id]:
                return cls(doc_id)
            case ["docs", doc_id, "pages", page]:
                return cls(doc_id, page=page)
            case ["docs", doc_id, "tables", table]:
                return cls(doc_id, table=table)
            case ["docs", doc_id, "tables", table, "rows", row]:
                return cls(doc_id, table=table, row=row)
        raise refused(f"{text[:100]!r} is no ID from search, like coda://docs/AbCDeFGH/pages/canvas-1a2B3c.")
