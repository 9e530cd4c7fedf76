"""Writes the pages that come from the kit's registry of checks: python tests/generate.py [FOLDER]

The checklist, the reference of checks, and which requirement is held by which check and which test.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bake import ROOT, TEMPLATE

sys.path.insert(0, str(ROOT / TEMPLATE / "kit"))

from stytch_mcp_kit.check import clients  # type: ignore[import-not-found]
from stytch_mcp_kit.check.areas import AREAS, CHECKS  # type: ignore[import-not-found]
from stytch_mcp_kit.check.clients import OPTIONS  # type: ignore[import-not-found]
from stytch_mcp_kit.check.registry import PRACTICE, Level, Needs  # type: ignore[import-not-found]
from stytch_mcp_kit.check.reports import cell  # type: ignore[import-not-found]

WAYS = {"cimd": "CIMD", "dcr": "DCR"}
NOTE = "<!-- Written by `make generate` from the registry of checks; changes here are lost. -->"
TEST = "tests/check/test_faults.py::test_a_fault_fails_its_check_and_no_other"
PRACTICE_TITLE = "Practice: what no document asks for, and what was seen to go wrong without"
RUNS = {Needs.NOTHING: "always", **{need: f"`{option}`" for need, option in OPTIONS.items()}}
LIMIT = f"""\
What the checks cannot see: whether an edge or firewall lets the vendors' networks through (only their user agents are
tried), and what a client's vendor changed since {clients.load().checked_on}. Facts marked *unconfirmed* are reports
that nobody here could verify. It connects directly: proxies that the environment names are not used."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(list(head)), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(values: Iterable[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values) or "-"


def checklist() -> str:
    """What has to hold before ChatGPT and Claude are tried, runnable and by area."""
    must = sum(check.level is Level.MUST for check in CHECKS)
    depths = {need: sum(check.needs is need for check in CHECKS) for need in Needs}
    parts = [
        "# Testing checklist\n",
        NOTE + "\n",
        f"Before ChatGPT and Claude are tried, these {len(CHECKS)} points have to hold; {must} of them are a MUST. The"
        " list runs: `mcp-check` walks to a server as a client does and tells the first hop that breaks, why a client"
        " would stop there, and what to change. It works on loopback and in public, on any vendor's server.\n",
        "    notes-mcp check http://127.0.0.1:8000/mcp --full            # a generated server, against `dev`\n"
        "    pip install ./kit && mcp-check https://notes.example.com/mcp  # any server, from a checkout\n"
        "    uvx --from 'git+URL#subdirectory=examples/coda-mcp/kit' mcp-check https://notes.example.com/mcp\n",
        table(
            ("depth", "checks", "what it does"),
            [
                ("(none)", str(depths[Needs.NOTHING]), "only looks: no registration, no write, safe on production"),
                ("`--register`", f"+ {depths[Needs.REGISTER]}", "registers test clients, deletes them where it may"),
                ("`--token T`", f"+ {depths[Needs.TOKEN]}", "uses an access token that you have"),
                (
                    "`--login`",
                    f"+ {depths[Needs.LOGIN] + depths[Needs.REGISTER] + depths[Needs.TOKEN]}",
                    "registers and logs in, in the browser, with a callback on loopback",
                ),
                ("`--full`", f"all {len(CHECKS)}", "forges tokens as well: only against `dev`"),
            ],
        ),
        "Exit codes: 0 every MUST holds, 1 a MUST fails, 2 the server cannot be reached, 3 wrong usage. More:"
        " `mcp-check --help`, and `mcp-check --explain CH-06` for any line below.\n",
        LIMIT + "\n",
    ]
    for area in AREAS:
        rows = [
            (
                f"[{check.id}](reference/checks.md#{check.id.lower()})",
                cell(check.title),
                check.level,
                RUNS[check.needs],
                cell(check.fix),
            )
            for check in area
        ]
        parts += [f"## {area.name.capitalize()}\n", table(("", "holds when", "level", "runs", "otherwise"), rows)]
    return "\n".join(parts)


def checks() -> str:
    """Every check in full."""
    parts = ["# Checks\n", NOTE + "\n", f"All {len(CHECKS)} checks of `mcp-check`, in the order of a client's way.\n"]
    for area in AREAS:
        parts.append(f"## {area.name.capitalize()}\n")
        for check in area:
            named = ", ".join(check.clients) or "all"
            parts += [
                f"### {check.id}\n",
                f"**{cell(check.title[0].upper() + check.title[1:])}.**\n",
                f"{cell(check.why)}\n",
                f"*Change:* {cell(check.fix)}\n",
                f"{cell(str(check.requirement))}. Missing it {check.severity}. Clients: {named}. Runs:"
                f" {RUNS[check.needs]}.\n",
            ]
    return "\n".join(parts)


def requirements() -> str:
    """Which requirement is held by which check, and which test shows that the check can fail."""
    found = defaultdict(list)
    for check in CHECKS:
        found[check.requirement].append(check)
    documents = sorted({requirement.document for requirement in found}, key=lambda name: (name == PRACTICE, name))
    parts = [
        "# Requirements\n",
        NOTE + "\n",
        "Each requirement with the checks that hold a server to it. Each check is proved in both directions: a server"
        f" with one thing wrong fails that check and no other, and as it is it fails none (`{TEST}`, one case per"
        " check).\n",
    ]
    for document in documents:
        name = PRACTICE_TITLE if document == PRACTICE else document
        rows = [
            (
                cell(requirement.section),
                requirement.level,
                requirement.since or "-",
                "<br>".join(f"[{check.id}](checks.md#{check.id.lower()}) {cell(check.title)}" for check in held),
                "<br>".join(f"`[{check.id}]`" for check in held),
            )
            for requirement, held in found.items()
            if requirement.document == document
        ]
        parts += [f"## {name}\n", table(("section", "level", "since MCP", "check", "test case"), rows)]
    return "\n".join(parts)


def client_facts() -> str:
    """What is known about clients."""
    facts = clients.load()
    rows = [
        (
            profile.title,
            ", then ".join(WAYS.get(way, f"a client id {way}") for way in profile.registration),
            code([*profile.redirect_uris_without_iss, *profile.redirect_uris]),
            code(profile.client_id_metadata),
            code([*profile.user_agents, *profile.addresses]),
            "<br>".join(cell(each) for each in profile.unconfirmed) or "-",
        )
        for profile in facts.profiles.values()
    ]
    head = ("client", "registers by", "returns to", "metadata document", "user agent, addresses", "unconfirmed")
    return "\n".join(
        [
            "# Clients\n",
            NOTE + "\n",
            f"Last compared with the vendors' pages on {facts.checked_on}. Vendors change such things without notice:"
            f" after {facts.valid_days} days `mcp-check` says so. What applies to your server: `mcp-check URL --client"
            " NAME`.\n",
            table(head, rows),
            "ChatGPT uses its one stable redirect URI only where the authorization server advertises and sends `iss`"
            " (RFC 9207); otherwise each connector has its own.\n",
        ]
    )


def pages() -> dict[str, str]:
    """All generated pages by their path below docs/."""
    return {
        "testing-checklist.md": checklist(),
        "reference/checks.md": checks(),
        "reference/requirements.md": requirements(),
        "reference/clients.md": client_facts(),
    }


def main(folder: Path) -> None:
    """Write them all."""
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs")
