"""Every figure in prose is tied to what it comes from, and a figure that is tied to nothing fails."""

import re
from http import HTTPStatus
from typing import Any

import pytest
import yaml
from bake import ROOT, TEMPLATE
from site_figures import RUNTIME, WORDS, Rendered, facts, found
from site_pages import is_generated, sources

TABLE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "site_figures.yaml").read_text(encoding="utf-8"))
READMES = [ROOT / "README.md", ROOT / TEMPLATE / "README.md", ROOT / "examples" / "coda-mcp" / "README.md"]
PAGES = {
    str(page.relative_to(ROOT)).replace(TEMPLATE, "template"): page
    for page in [*sources(), *READMES]
    if not is_generated(page)
}
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:#+ \d+\. |\s*\d+\. |\| \d+(?: to \d+)? \|)", re.MULTILINE)
UNITS = (
    r"seconds?|minutes?|hours?|days?|weeks?|months?|years?|%|KiB|MiB|MB|GB|MAU|users?|tries|mails|messages|codes|digits|"
    r"clients|connections|tools?|toolsets|prompts|checks|questions|lessons|rules|requests|files|fetch(?:es)?|replicas?"
)
WORD = rf"(?:{'|'.join(WORDS[2:])}|fifty|ninety|hundred|thousand|(?<!per )million)"
FIGURE = re.compile(
    rf"(?<![\w.\-/:#+])(?:\$?\d+(?:,\d{3})*(?:\.\d+)?[KM]?(?![\w.-]*[\w-])|{WORD}[ -](?:[a-z-]+ )?(?:{UNITS})\b"
    r"|an? hour\b)",
    re.IGNORECASE,
)
# What has digits and is not a figure: code, where a link leads, dates, versions, places in a text, statuses of HTTP.
NO_FIGURE = re.compile(
    r"`[^`]*`|\{[{%].*?[%}]\}|\]\([^)]*\)(?:\{[^}]*\})?|\b20\d\d-\d\d-\d\d\b"
    r"|\b(?:\w+ber|January|February|May|June?|July|August|March|April) 20\d\d\b"
    r"|\bRFC \d+"
    r"|\b(?:sections?|steps?|ranks?|[Ss]tages?|[Rr]ules|weeks?|lesson) \d[\d.]*(?: (?:to|and) \d+)?|\bOAuth 2\.1\b"
    r"|(?<=[|;] )\d\. (?=[A-Z]|close)|\bSeverity \d(?: and \d)?"
    rf"|(?<![\d.,$])(?:{'|'.join(str(status.value) for status in HTTPStatus if status >= HTTPStatus.OK)})\b"
    rf"(?! (?:{UNITS})\b)(?![\d,.]\d)"
)


def blank(found: re.Match[str]) -> str:
    """As many spaces."""
    return " " * len(found[0])


def prose(text: str) -> str:
    """A page without its blocks and numbering, on one line."""
    return " ".join(LINE.sub("", FENCE.sub("", text)).split())


def figures(text: str) -> list[tuple[int, int]]:
    """Where the figures of a text are."""
    return [match.span() for match in FIGURE.finditer(NO_FIGURE.sub(blank, text))]


def places(text: str, fragment: str) -> list[tuple[int, int]]:
    """Where a fragment is, as whole words."""
    return [match.span() for match in re.finditer(rf"(?<![\w$,.]){re.escape(fragment)}(?!\w|[,.]\d)", text)]


def rows(page: str) -> list[str]:
    """What the table has for a page, rendered."""
    known = facts()
    entry = TABLE.get(page, {})
    sentences = [
        *entry.get("from_code", []),
        *(each for dated in entry.get("of_others", {}).values() for each in dated),
    ]
    return [Rendered().format(each, **known) for each in sentences] + list(entry.get("judged", {}))


def untied(text: str, fragments: list[str]) -> list[str]:
    """The figures of a text that lie in none of the fragments, with what stands around them."""
    tied = [place for fragment in fragments for place in places(text, fragment)]
    return [
        text[max(0, begin - 30) : end + 30]
        for begin, end in figures(text)
        if not any(first <= begin and end <= last for first, last in tied)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_figure_is_tied_to_its_source(page: str) -> None:
    assert not untied(prose(PAGES[page].read_text(encoding="utf-8")), rows(page))


@pytest.mark.parametrize("page", TABLE)
def test_a_page_says_what_its_sources_say(page: str) -> None:
    text = prose(PAGES[page].read_text(encoding="utf-8"))
    assert not [row for row in rows(page) if not places(text, row)]


@pytest.mark.parametrize("page", [page for page in TABLE if "of_others" in TABLE[page]])
def test_a_figure_of_others_has_its_date(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    assert not [date for date in TABLE[page]["of_others"] if date not in text]


def test_a_row_is_either_computed_or_has_a_reason() -> None:
    for page, entry in TABLE.items():
        assert entry.keys() <= {"from_code", "of_others", "judged"}, page
        assert all("{" in sentence for sentence in entry.get("from_code", [])), page
        assert all(entry.get("judged", {}).values()), page


def test_the_reason_for_a_long_token_says_the_limit() -> None:
    assert found(RUNTIME / "protect" / "reasons.py", r"longer than (\d+) KiB") == facts()["token_kib"]


def test_the_limit_of_the_command_is_that_of_the_plan() -> None:
    assert facts()["mau_limit"] == facts()["stytch_free"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kept for 25 hours", ["25"]),
        ("after six quiet minutes", ["six quiet minutes"]),
        ("192 MiB, 5 % and $99", ["192", "5", "$99"]),
        ("10K to 1.5M users", ["10K", "1.5M"]),
        ("an hour by default", ["an hour"]),
        ("401, `8 KiB`, OAuth 2.1, RFC 9728, section 3.1, 2026-07-28, S256, steps 1 to 4, [x](y/24)", []),
        ("500 MB is no status", ["500"]),
        ("two places", []),
    ],
)
def test_figures_are_found(text: str, expected: list[str]) -> None:
    assert [text[begin:end] for begin, end in figures(text)] == expected


def test_a_figure_that_differs_from_its_source_is_not_tied() -> None:
    assert untied("at most 60 seconds", ["at most 60 seconds"]) == []
    assert untied("at most 61 seconds", ["at most 60 seconds"]) == ["at most 61 seconds"]
    assert untied("at most 160 seconds", ["60 seconds"]) == ["at most 160 seconds"]
    assert untied("at most 60 seconds, then 5 more", ["at most 60 seconds"]) == ["at most 60 seconds, then 5 more"]
