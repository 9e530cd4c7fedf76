"""The first page of the reference, from the pages that are there and what they say of themselves."""

import re
from pathlib import Path

import yaml
from markdown_text import page, table, text

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
# What each generated page is made from.
MADE_FROM = {
    "prompts": "`cookiecutter.json`",
    "settings": "the settings classes of a baked server and of the Coda server",
    "commands": "the command line's own help",
    "endpoints": "the routes of an application that was put together",
    "reason-codes": "the runtime's table of refusals, and which check meets which",
    "scopes": "the definitions of both servers",
    "checks": "the registry of `check`",
    "requirements": "the registry of `check`, and the test that proves each",
    "clients": "what `check` knows about each client",
    "modules": "the imports and docstrings of a baked server",
    "coda-tools": "the tools of the Coda server",
    "links": "the list of addresses outside this site, with the date on which each was looked at",
}


def pages() -> dict[str, str]:
    """reference/index.md"""
    heads = {file.stem: _head(file) for file in sorted(REFERENCE.glob("*.md")) if file.stem != "index"}
    written = [name for name in heads if name not in MADE_FROM]
    content = [
        "These pages are made from the code by `make generate`, and a test fails when they differ from it. So they are "
        "complete, and they are dry; the [how-to guides](../how-to/index.md) say what to do with them.",
        table(
            ["Page", "What", "Made from"],
            [(_link(name, heads), text(heads[name]["description"]), source) for name, source in MADE_FROM.items()],
        ),
        "Not made from the code: " + ", ".join(_link(name, heads) for name in written) + ".",
    ]
    return {
        "docs/reference/index.md": page(
            "Reference",
            "Every prompt, setting, command, endpoint, reason code, scope, check and tool.",
            ["reference"],
            *content,
        )
    }


def _head(file: Path) -> dict[str, str]:
    found = HEAD.match(file.read_text(encoding="utf-8"))
    assert found, file
    return dict(yaml.safe_load(found[1]))


def _link(name: str, heads: dict[str, dict[str, str]]) -> str:
    return f"[{heads[name]['title']}]({name}.md)"
