"""The example's stand-in for Coda, with a page of 20 MB and a table of 100,000 rows; run as a script."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Final

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "coda-mcp"
sys.path.insert(0, str(EXAMPLE))

import uvicorn  # noqa: E402 - the path comes first
from local.app import create_app  # type: ignore[import-not-found] # noqa: E402
from local.coda.config import Config  # type: ignore[import-not-found] # noqa: E402
from local.coda.model import Element, Row, Span  # type: ignore[import-not-found] # noqa: E402

DOC, PAGE, TABLE, COLUMN = "obsLogBk01", "canvas-obsHome001", "grid-obsScopes1", "c-scpName00"
PAGE_BYTES: Final = 20_000_000
ROWS: Final = 100_000
WORDS_IN_A_LINE: Final = 16


def main() -> None:
    """Words of a made-up language, so that the text compresses about as prose does."""
    dice = random.Random(7)  # noqa: S311 - the same text each time
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(20_000)]
    app = create_app(Config(limits=False))
    world = app.state.coda
    world.settings.max_page_size = 500
    doc, now = world.docs[DOC], world.now()
    written, elements = 0, doc.pages[PAGE].elements
    while written < PAGE_BYTES:
        line = " ".join(dice.choices(words, k=WORDS_IN_A_LINE))
        elements.append(Element(f"cl-{len(elements)}", spans=[Span(line)]))
        written += len(line) + 2
    for number in range(ROWS):
        row = Row(f"i-bench{number}", now, now, {COLUMN: f"{number} {' '.join(dice.choices(words, k=8))}"})
        doc.tables[TABLE].rows[row.row_id] = row
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")


if __name__ == "__main__":
    main()
