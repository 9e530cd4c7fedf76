"""The addresses outside the site, from sitetools/links.yaml."""

from pathlib import Path

import yaml
from markdown_text import page, table, text

LINKS = Path(__file__).resolve().parents[1] / "links.yaml"


def pages() -> dict[str, str]:
    """reference/links.md"""
    entries = yaml.safe_load(LINKS.read_text(encoding="utf-8"))
    rows = [(f"<{each['url']}>", text(each["what"]), str(each["checked_on"]), each["how"]) for each in entries]
    content = [
        "Every address outside this site to which a page links. *Stored copy*: its content was read in a stored copy on that "
        "day, the address itself was not called. *Live*: it was opened.",
        table(["Address", "What", "Looked at", "How"], rows),
    ]
    return {"docs/reference/links.md": page("Links", "Every link to elsewhere, with a date.", ["reference"], *content)}
