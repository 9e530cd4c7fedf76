"""The Team Handbook: published, no table of its own, pages below pages, one that mirrors another doc's."""

from __future__ import annotations

from local.coda.model import Domain, Published
from local.coda.planting import DAY, add_doc, add_page
from local.coda.world import World

RULES = """
1. White light is switched off before the door is opened.
2. Who wakes the owl apologizes to the owl.
3. The kettle is for everyone.

Silence is not required. Darkness is.
"""
NIGHT = """
### Before midnight

Warm clothes, two pairs of gloves, a thermos. Sign in on the sheet at the gate.

### After midnight

The bakery gives a **Moon bun** to everybody with a red lamp.
"""


def plant(world: World, owner: str, other: str) -> None:
    """`other` wrote one of its pages."""
    doc = add_doc(world, "handbook01", "Team Handbook", owner, "fl-Observing1", 300, "book")
    doc.published = Published(world.now() - 30 * DAY, "owl-hill-handbook", True, "view", ["Science"])
    doc.in_gallery = True
    doc.domains["stars.example.com"] = Domain("stars.example.com", world.now() - 20 * DAY, world.now() - 19 * DAY)
    add_page(doc, "canvas-hndRules1", "House rules", RULES)
    add_page(doc, "canvas-hndNight1", "Your first night", NIGHT, parent_id="canvas-hndRules1").author = other
    add_page(doc, "canvas-hndWords1", "Words we use", "*Seeing*: how calm the air is.", parent_id="canvas-hndNight1")
    add_page(doc, "canvas-hndSync01", "Charts of the month", kind="syncPage")
    add_page(doc, "canvas-hndSheet1", "Sign-in sheet", kind="table")
