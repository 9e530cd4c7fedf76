"""`.env.example` as the default server has it, for the page that explains it."""

import tempfile
from pathlib import Path

from bake import bake_defaults

FILE = "sitetools/notes-mcp.env.example"


def pages() -> dict[str, str]:
    """sitetools/notes-mcp.env.example"""
    with tempfile.TemporaryDirectory() as scratch:
        return {FILE: (bake_defaults(Path(scratch)) / ".env.example").read_text(encoding="utf-8")}
