"""The Bakery Planner: pantry, recipes, orders."""

from __future__ import annotations

from typing import Any

from local.coda.model import Column, Control, Doc, Formula, Permission, Row
from local.coda.planting import add_doc, add_page, add_row, add_table, add_view, select
from local.coda.world import World

DOC, PANTRY, RECIPES, ORDERS = "bakeryPln1", "grid-bakPantry1", "grid-bakRecipes", "grid-bakOrders1"
PRICE, STATUS = "c-recPrice0", "c-ordStatus"
KITCHEN = """
Bread for those who are up at night. The oven is on from **ten** to **five**.

## In the pantry

:table grid-bakPantry1

## What runs out

:formula f-bakRunsOut
"""
BOOK = """
:control ctrl-bakSeason

:table grid-bakRecipes
"""
COUNTER = """
## Open orders

:table table-bakOpen001

## All orders

:formula f-bakIncome0

:table grid-bakOrders1
"""
STOCK = (
    ("Rye flour", 40, "kg", 1.9),
    ("Wheat flour", 65, "kg", 1.2),
    ("Salt", 4, "kg", 0.8),
    ("Poppy seed", 0, "kg", 7.5),
    ("Honey", 6, "jar", 5),
    ("Milk", 12, "l", 1.1),
)
BOOK_OF_RECIPES = (
    ("Comet loaf", [1, 2, 3], 6.5, True),
    ("Moon bun", [2, 3, 6], 1.4, False),
    ("Poppy star", [2, 4, 5], 2.2, False),
    ("Midnight rye", [1, 3], 5.8, True),
)


def plant(world: World, owner: str) -> None:
    doc = add_doc(world, DOC, "Bakery Planner", owner, "fl-Kitchen001", 80, "croissant")
    doc.permissions["AclP-bak-oven"] = Permission(
        "AclP-bak-oven", "write", {"type": "workspace", "workspaceId": "ws-NightOven"}
    )
    _tables(doc)
    _rows(doc)
    doc.formulas = {
        one.formula_id: one
        for one in (
            Formula("f-bakRunsOut", "Runs out", "canvas-bakKitchn", _runs_out),
            Formula("f-bakIncome0", "Income of open orders", "canvas-bakCountr", _income),
        )
    }
    doc.controls["ctrl-bakSeason"] = Control("ctrl-bakSeason", "Season", "canvas-bakBook001", "select", "Winter")
    add_page(doc, "canvas-bakKitchn", "Kitchen", KITCHEN)
    add_page(doc, "canvas-bakBook001", "Recipe book", BOOK)
    add_page(doc, "canvas-bakCountr", "Counter", COUNTER)


def _tables(doc: Doc) -> None:
    euros = {"currencyCode": "EUR", "precision": 2}
    add_table(
        doc,
        PANTRY,
        "Pantry",
        "canvas-bakKitchn",
        [
            Column("c-panName00", "Ingredient"),
            Column("c-panStock0", "In stock", "number", format={"precision": 0, "useThousandsSeparator": True}),
            Column("c-panUnit00", "Unit", "select", format=select("kg", "l", "jar")),
            Column("c-panPrice0", "Price", "currency", format=euros),
            Column("c-panMail00", "Supplier", "email", format={"display": "iconAndEmail"}),
        ],
    )
    add_table(
        doc,
        RECIPES,
        "Recipes",
        "canvas-bakBook001",
        [
            Column("c-recName00", "Recipe"),
            Column("c-recIngred", "Ingredients", "lookup", is_array=True, lookup=PANTRY),
            Column(PRICE, "Price", "currency", format=euros),
            Column("c-recVegan0", "Vegan", "checkbox", format={"displayType": "toggle"}),
        ],
    )
    baked = {"label": "Baked", "action": 'ModifyRows(thisRow, Orders.Status, "Baked")'}
    add_table(
        doc,
        ORDERS,
        "Orders",
        "canvas-bakCountr",
        [
            Column("c-ordNumber", "Order"),
            Column("c-ordRecipe", "Recipe", "lookup", lookup=RECIPES),
            Column("c-ordCount0", "How many", "number", format={"precision": 0}),
            Column("c-ordPickUp", "Pick-up", "dateTime"),
            Column(STATUS, "Status", "select", format=select("Open", "Baked", "Gone"), default="Open"),
            Column(
                "c-ordTotal0",
                "Total",
                "currency",
                format=euros,
                formula="thisRow.Recipe.Price * thisRow.[How many]",
                compute=_total,
            ),
            Column("c-ordBaked0", "Baked", "button", format=baked, press=_bake),
        ],
    )
    view = add_view(doc, "table-bakOpen001", "Open orders", "canvas-bakCountr", ORDERS, (STATUS, "Open"))
    view.hidden, view.sort = {"c-ordBaked0"}, "c-ordPickUp"


def _rows(doc: Doc) -> None:
    for number, (name, stock, unit, price) in enumerate(STOCK, 1):
        add_row(doc.tables[PANTRY], f"i-pan{number:07}", name, stock, unit, price, "mill@example.com")
    for number, (name, ingredients, price, vegan) in enumerate(BOOK_OF_RECIPES, 1):
        needed = [f"i-pan{ingredient:07}" for ingredient in ingredients]
        add_row(doc.tables[RECIPES], f"i-rec{number:07}", name, needed, price, vegan)
    for number in range(1, 13):
        add_row(
            doc.tables[ORDERS],
            f"i-ord{number:07}",
            f"No. {number}",
            f"i-rec{number % len(BOOK_OF_RECIPES) + 1:07}",
            number * 7 % 12 + 1,
            f"2026-03-{number:02}T04:{number * 5 % 60:02}:00",
            ("Open", "Baked", "Gone")[number % 3],
        )


def _total(doc: Doc, row: Row) -> float:
    table = doc.tables.get(RECIPES)
    recipe = table.rows.get(row.values.get("c-ordRecipe", "")) if table else None
    price = recipe.values.get(PRICE) if recipe else None
    count = row.values.get("c-ordCount0")
    if not isinstance(price, int | float) or not isinstance(count, int | float):
        return 0
    return round(price * count, 2)


def _bake(_doc: Doc, row: Row, now: float) -> None:
    row.values[STATUS] = "Baked"
    row.updated_at = now


def _income(doc: Doc) -> float:
    rows = doc.tables[ORDERS].rows.values()
    return round(sum(_total(doc, row) for row in rows if row.values.get(STATUS) == "Open"), 2)


def _runs_out(doc: Doc) -> Any:
    return [row.values["c-panName00"] for row in doc.tables[PANTRY].rows.values() if row.values.get("c-panStock0") == 0]
