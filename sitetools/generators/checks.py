"""The pages that come from the kit's registry of checks: the checklist, the checks, requirements, clients."""

from collections import defaultdict
from collections.abc import Iterable

from markdown_text import code, page, table, text

WAYS = {"cimd": "CIMD", "dcr": "DCR"}
TEST = "tests/check/test_faults.py"
PRACTICE_TITLE = "Practice: what no document asks for, and what was seen to go wrong without"
BOX, NOTHING = "☐", "–"
# What a check takes beyond looking.
DEPTHS = {
    "passive": "always",
    "register": "`--register`",
    "token": "`--token`",
    "login": "`--login`",
    "full": "`--full`",
}


def pages() -> dict[str, str]:
    """testing-checklist.md, reference/checks.md, reference/requirements.md, reference/clients.md"""
    return {
        "docs/testing-checklist.md": checklist(),
        "docs/reference/checks.md": checks(),
        "docs/reference/requirements.md": requirements(),
        "docs/reference/clients.md": client_facts(),
    }


def checklist() -> str:
    """What has to hold before clients are tried: a box for each check and client."""
    from stytch_mcp_kit.check import clients
    from stytch_mcp_kit.check.areas import AREAS, CHECKS
    from stytch_mcp_kit.check.registry import Level, Needs

    facts = clients.load()
    must = sum(check.level is Level.MUST for check in CHECKS)
    depths = {need: sum(check.needs is need for check in CHECKS) for need in Needs}
    with_login = depths[Needs.LOGIN] + depths[Needs.REGISTER] + depths[Needs.TOKEN]
    parts = [
        f"Before ChatGPT and Claude are tried, these {len(CHECKS)} points have to hold; {must} of them are a MUST. The list "
        "runs: `check` walks to a server as a client does and names the first hop that breaks, why a client would stop there, "
        "and what to change. It works on loopback and in public, on any vendor's server.",
        "```{ .console .rehearsed }\n"
        "$ .venv/bin/notes-mcp check https://notes-mcp.example.com/mcp\n"
        "...\n"
        f"{depths[Needs.NOTHING]} checks: ... hold, 0 MUST fail, ...\n"
        "$ .venv/bin/notes-mcp check https://notes-mcp.example.com/mcp --login\n"
        "...\n"
        f"{depths[Needs.NOTHING] + with_login} checks: ... hold, 0 MUST fail, ...\n"
        "$ .venv/bin/notes-mcp check http://127.0.0.1:8000/mcp --full\n"
        "...\n"
        f"{len(CHECKS)} checks: ... hold, 0 MUST fail, ...\n"
        "```",
        "For a server that was not made from this template the same command stands alone:",
        '--8<-- "sitetools/repository.txt:owner"',
        "```{ .console .by-hand }\n"
        '--8<-- "sitetools/repository.txt:check"\n'
        "    mcp-check https://mcp.example.com/mcp\n"
        "```",
        table(
            ["Depth", "Checks", "What it does"],
            [
                ["(none)", str(depths[Needs.NOTHING]), "only looks: no registration, no write, safe on production"],
                ["`--register`", f"+ {depths[Needs.REGISTER]}", "registers test clients, deletes them where it may"],
                ["`--token`", f"+ {depths[Needs.TOKEN]}", "uses an access token that you have"],
                ["`--login`", f"+ {with_login}", "registers and logs in, in the browser, with a callback on loopback"],
                ["`--full`", f"all {len(CHECKS)}", "forges tokens as well: only against `dev`"],
            ],
        ),
        "Exit codes: 0 every MUST holds, 1 a MUST fails, 2 the server cannot be reached, 3 wrong usage. "
        "[All options](reference/commands.md#notes-mcp-check).",
        "To print this page and tick it by hand: a box stands under each client that cares.",
        "What the checks cannot see: whether the edge lets the vendors' *addresses* through (only their user agents are "
        f"tried), and what a vendor changed since {facts.checked_on}.",
    ]
    titles = [profile.title for profile in facts.profiles.values()]
    for area in AREAS:
        rows = [
            [
                f"[{check.id}](reference/checks.md#{check.id.lower()})",
                text(check.title),
                str(check.level),
                DEPTHS[check.needs],
                *(BOX if check.concerns(name) else NOTHING for name in facts.profiles),
            ]
            for check in area
        ]
        parts += [f"## {area.name.capitalize()}", table(["Check", "Holds when", "Level", "Runs", *titles], rows)]
    boxes = [[what, *(BOX for _ in titles)] for what in BY_HAND]
    parts += ["## By hand", "What no command can see. Once for each client.", table(["", *titles], boxes)]
    return page("Testing checklist", "What has to hold before a client is connected.", ["procedure", "clients"], *parts)


BY_HAND = [
    "The client is connected, from outside your network",
    "The consent page names it and returns to its own host",
    "Every tool was called once",
    "A tool that needs more scope asks for it, and then works",
    "It still works after an hour (the refresh)",
    "It is disconnected at `/oauth/connections`, and then has to ask again",
    "Somebody who is not admitted cannot log in",
]


def checks() -> str:
    """Every check in full."""
    from stytch_mcp_kit.check.areas import AREAS, CHECKS

    parts = [f"All {len(CHECKS)} checks of `check`, in the order of a client's way."]
    for area in AREAS:
        parts.append(f"## {area.name.capitalize()}")
        for check in area:
            named = ", ".join(check.clients) or "all"
            parts += [
                f"### {check.id} {{#{check.id.lower()}}}",
                f"**{text(check.title[0].upper() + check.title[1:])}.**",
                text(check.why),
                f"*Change:* {text(check.fix)}",
                f"{text(check.requirement)}. Missing it {check.severity}. Clients: {named}. Runs: {DEPTHS[check.needs]}.",
            ]
    return page("Checks", "Every check, why it matters and what to change.", ["clients"], *parts)


def requirements() -> str:
    """Which requirement is held by which check, and which test shows that the check can fail."""
    from stytch_mcp_kit.check.areas import CHECKS
    from stytch_mcp_kit.check.registry import PRACTICE

    found = defaultdict(list)
    for check in CHECKS:
        found[check.requirement].append(check)
    documents = sorted({requirement.document for requirement in found}, key=lambda name: (name == PRACTICE, name))
    parts = [
        "Each requirement with the checks that hold a server to it. Each check is proved in both directions: a server with one "
        f"thing wrong fails that check and no other, and as it is it fails none. The tests are in `{TEST}`, one case for each "
        "check, named by its id.",
    ]
    for document in documents:
        rows = [
            [
                text(requirement.section),
                str(requirement.level),
                requirement.since or NOTHING,
                "<br>".join(f"[{check.id}](checks.md#{check.id.lower()}) {text(check.title)}" for check in held),
                "<br>".join(code(f"[{check.id}]") for check in held),
            ]
            for requirement, held in found.items()
            if requirement.document == document
        ]
        name = PRACTICE_TITLE if document == PRACTICE else document
        parts += [f"## {name}", table(["Section", "Level", "Since MCP", "Check", "Test case"], rows)]
    return page("Requirements", "Requirement, check and test.", ["protocol"], *parts)


def client_facts() -> str:
    """What is known about clients."""
    from stytch_mcp_kit.check import clients

    facts = clients.load()
    rows = [
        [
            text(profile.title),
            ", then ".join(WAYS.get(way, f"a client id {way}") for way in profile.registration),
            _lines([*profile.redirect_uris_without_iss, *profile.redirect_uris]),
            _lines(profile.client_id_metadata),
            _lines([*profile.user_agents, *profile.addresses]),
            "<br>".join(text(each) for each in profile.unconfirmed) or NOTHING,
        ]
        for profile in facts.profiles.values()
    ]
    head = ["Client", "Registers by", "Returns to", "Metadata document", "User agent, addresses", "UNCONFIRMED"]
    parts = [
        f"Last compared with the vendors' pages on {facts.checked_on}. Vendors change such things without notice: after "
        f"{facts.valid_days} days `check` says so.",
        table(head, rows),
        "ChatGPT uses its one stable redirect URI only where the authorization server advertises and sends `iss` (RFC 9207); "
        "otherwise each connector has its own.",
    ]
    return page("Clients", "What is known about each client, with a date.", ["clients"], *parts)


def _lines(values: Iterable[str]) -> str:
    return "<br>".join(map(code, values)) or NOTHING
