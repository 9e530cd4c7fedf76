"""Pieces of Markdown for generated pages."""

from collections.abc import Iterable, Sequence
from html import escape


def page(title: str, description: str, tags: Sequence[str], *parts: str) -> str:
    """A page with its front matter and a word on where it comes from."""
    head = [
        "---",
        f"title: {title}",
        f"description: {description}",
        "tags:",
        *(f"  - {tag}" for tag in tags),
        "search:",
        "  boost: 2",
        "---",
    ]
    note = "<!-- Made by `make generate`; a change belongs in sitetools/generators or into what it reads. -->"
    return "\n".join(head) + "\n\n" + "\n\n".join([note, f"# {title}", *parts]).strip() + "\n"


def text(value: object) -> str:
    """Plain text: nothing in it is HTML, and nothing ends a cell of a table."""
    return escape(" ".join(str(value).split()), quote=False).replace("|", "\\|").replace("*", "\\*")


def code(value: object) -> str:
    """A code span that may stand in a cell of a table."""
    return f"`{value}`".replace("|", "\\|") if str(value) else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
