"""What the site says of vendors carries its date, and what is open about them is never said as if it were known."""

import datetime
import re
from pathlib import Path

import pytest
from site_pages import DOCS, FRONT_MATTER, is_generated, sources

VENDORS = (
    "ChatGPT",
    "Claude",
    "Cursor",
    "VS Code",
    "Stytch",
    "WorkOS",
    "Auth0",
    "Keycloak",
    "Cloudflare",
    "Better Auth",
    "Coda",
    "OpenAI",
    "Anthropic",
    "Microsoft Entra",
    "Twilio",
    "GitHub",
    "Traefik",
)
# Where nothing is claimed of them: a way to log in, an example of an API, one of the parts of a set-up.
MERE_NAMES = {
    "GitHub": {
        "how-to/another-api.md",
        "how-to/rotate-secrets.md",
        "how-to/sign-in-page.md",
        "how-to/stytch-setup.md",
        "how-to/who-may-log-in.md",
    },
    "Traefik": {"index.md", "sop.md", "how-to/replicas.md"},
}
CODE = re.compile(r"^ *```.*?^ *```|``[^`\n]+``|`[^`\n]+`", re.DOTALL | re.MULTILINE)
DATED = re.compile(
    r"^\*Looked up on (\d{4}-\d\d-\d\d): what is said of ([^.]+)\. \[What is confirmed\]\((\S+)\)\.\*\n"
    r"\{: \.dated \}\n\Z",
    re.MULTILINE,
)
CONFIRMED = DOCS / "explanation" / "confirmed.md"
OPEN_MARK = re.compile(r"unconfirmed|not documented|was not measured", re.IGNORECASE)
# What each open question of confirmed.md looks like where a page touches it; None: no page does.
OPEN_AT_STYTCH = {
    "a": r"`resource`[^|\n]{0,60}(?:reaches|audience|`aud`)",
    "b": None,
    "c": None,
    "d": r"those of RFC 6749",
    "e": None,
    "f": r"contains a `cursor://`",
    "g": None,
    "h": r"none\*? of the scopes",
    "i": r"authorization responses carry",
}
OPEN_ELSEWHERE = {
    "ChatGPT's document at Stytch": r"`private_key_jwt` first",
    "scopes in tokens of WorkOS": r"tokens carry scopes|tokens for MCP carry `scope`",
    "the permissions of a role at WorkOS": r"permissions of their role|carry .{0,12}`permissions`",
    "what a JWT template of WorkOS reaches": r"into every token|puts it into the tokens",
    "when Stytch refuses scopes": r"`oauth_invalid_scope_requested`",
    "a second secret of Stytch": r"second secret in Stytch",
    "whether WorkOS demands openid": r"demands (?:the scope )?`openid`",
    "an existing link of ChatGPT": r"existing (?:ChatGPT )?link does",
    "which clients speak the newest revision": r"speak 2026-07-28",
    "how vendors count users": r"each vendor counts|refresh without a tool call counts",
    "block or part": r"as a block or by part",
    "what Stytch is paid for further users": r"price for each further MAU",
}
WRITTEN = [page for page in sources() if not is_generated(page)]


def prose(page: Path) -> str:
    """A page without its code; local Stytch is ours."""
    text = CODE.sub("", FRONT_MATTER.sub("", page.read_text(encoding="utf-8")))
    return re.sub("[Ll]ocal Stytch", "", DATED.sub("", text))


def named(page: Path) -> set[str]:
    """The vendors of whom a page says something."""
    where = page.relative_to(DOCS).as_posix()
    here = {vendor for vendor in VENDORS if re.search(rf"\b{vendor}\b", prose(page))}
    return {vendor for vendor in here if where not in MERE_NAMES.get(vendor, ())}


def test_a_mere_name_is_there() -> None:
    for vendor, pages in MERE_NAMES.items():
        assert not [page for page in pages if not re.search(rf"\b{vendor}\b", prose(DOCS / page))], vendor


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_a_page_that_names_a_vendor_says_when_it_was_looked_up(page: Path) -> None:
    found = DATED.search(page.read_text(encoding="utf-8"))
    if page == CONFIRMED or not named(page):
        assert found is None
        return
    assert found is not None, f"{page.name} names {sorted(named(page))}"
    date, vendors, target = found.groups()
    assert datetime.date.fromisoformat(date) >= datetime.date(2026, 11, 23)
    assert set(re.split(", | and ", vendors)) == named(page)
    assert (page.parent / target).resolve() == CONFIRMED


def sections(page: Path) -> list[str]:
    """A page in pieces: from heading to heading, each row of a table for itself."""
    text = DATED.sub("", page.read_text(encoding="utf-8"))
    pieces = []
    for section in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
        rows = re.findall(r"^\|.*$", section, re.MULTILINE)
        pieces += [*rows, re.sub(r"^\|.*$", "", section, flags=re.MULTILINE)]
    return pieces


def test_every_open_question_is_looked_for() -> None:
    listed = CONFIRMED.read_text(encoding="utf-8").partition("## Open at Stytch")[2].partition("## The probe")[0]
    assert re.findall(r"^\| ([a-z]) \|", listed, re.MULTILINE) == sorted(OPEN_AT_STYTCH)


@pytest.mark.parametrize("pattern", [each for each in (*OPEN_AT_STYTCH.values(), *OPEN_ELSEWHERE.values()) if each])
def test_what_is_open_is_marked_where_it_is_said(pattern: str) -> None:
    touching = [
        (page, piece)
        for page in WRITTEN
        if page != CONFIRMED
        for piece in sections(page)
        if re.search(pattern, " ".join(piece.split()))
    ]
    assert touching, "a pattern that finds nothing"
    for page, piece in touching:
        assert OPEN_MARK.search(piece), f"{page.name}: {piece[:200]}"


def test_the_tests_of_vendors_see() -> None:
    line = "*Looked up on 2026-11-23: what is said of Claude and VS Code. [What is confirmed](confirmed.md).*\n"
    assert DATED.search(line + "{: .dated }\n")
    assert not OPEN_MARK.search("It is confirmed.")
