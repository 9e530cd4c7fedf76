"""The people, workspaces and docs that a new stand-in has. All of them are made up."""

from __future__ import annotations

from local.coda import seed_bakery, seed_handbook, seed_observatory
from local.coda.model import Folder, Group, Member, Token, User, Workspace
from local.coda.planting import DAY
from local.coda.world import World

VEGA, NOVA, LUNA, ORION = (f"{name}@example.com" for name in ("vega", "nova", "luna", "orion"))
NAMES = {VEGA: "Vega Owl", NOVA: "Nova Owl", LUNA: "Luna Moth", ORION: "Orion Hare"}
DOC, TABLE = seed_observatory.DOC, seed_observatory.TARGETS
TOKENS = (
    Token("local-upstream-token", "Full access", VEGA),
    Token("local-read-token", "Reading", VEGA, operations="r"),
    Token("local-write-token", "Writing", VEGA, operations="w"),
    Token("local-doc-token", "One doc", VEGA, doc=DOC),
    Token("local-table-token", "One table", VEGA, doc=DOC, table=TABLE),
    Token("local-editor-token", "An Editor's", ORION),
)


def plant(world: World) -> None:
    """Fill an empty world."""
    now = world.now()
    for number, (email, name) in enumerate(NAMES.items(), 1):
        world.users[email] = User(email, name, number)
    world.groups["grp-Stargazer"] = Group("grp-Stargazer", "Stargazers", {NOVA, ORION})
    world.tokens = {token.value: token for token in TOKENS}
    observatory = {
        VEGA: Member(VEGA, "Admin", now - 400 * DAY),
        NOVA: Member(NOVA, "DocMaker", now - 300 * DAY),
        LUNA: Member(LUNA, "DocMaker", now - 200 * DAY, now - 100 * DAY),
        ORION: Member(ORION, "Editor", now - 100 * DAY),
    }
    bakery = {LUNA: Member(LUNA, "Admin", now - 300 * DAY), VEGA: Member(VEGA, "DocMaker", now - 250 * DAY)}
    for workspace in (
        Workspace("ws-OwlHill01", "Owl Hill Observatory", "org-OwlHill01", observatory, enterprise=True),
        Workspace("ws-NightOven", "Night Oven Bakery", "org-NightOven", bakery),
    ):
        world.workspaces[workspace.workspace_id] = workspace
    for folder in (
        Folder(
            "fl-Observing1", "Observing", "ws-OwlHill01", now - 390 * DAY, "What we look at, and when.", starred=True
        ),
        Folder("fl-Kitchen001", "Kitchen", "ws-NightOven", now - 290 * DAY, "Bread for those who are up at night."),
        Folder("fl-Attic00001", "Attic", "ws-OwlHill01", now - 380 * DAY, "Nothing is in here.", "LIGHT_GRAY"),
    ):
        world.folders[folder.folder_id] = folder
    seed_observatory.plant(world, VEGA, LUNA)
    seed_bakery.plant(world, VEGA)
    seed_handbook.plant(world, VEGA, LUNA)
