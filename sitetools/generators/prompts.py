"""The prompts, from cookiecutter.json."""

import json
from pathlib import Path
from typing import Any

from markdown_text import code, page, table, text

ROOT = Path(__file__).resolve().parents[2]


def pages() -> dict[str, str]:
    """reference/prompts.md"""
    context: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    rows = [
        (code(name), *_question(context["__prompts__"][name]), _default(context[name]))
        for name in context
        if not name.startswith("_")
    ]
    about = (
        "What the template asks, in this order. Answers that no server can be made of are refused before anything is "
        "written, all of them at once, with the reason and an answer that would do."
    )
    then = (
        "Every prompt can be answered on the command line instead, as `name=value` behind the template's address, with "
        "`--no-input` for the defaults of the others. The answers stay in the server as `.cruft.json` when it was made "
        "or linked with cruft; [an update](../how-to/update.md) reads them there."
    )
    content = [about, table(["Prompt", "Question", "Answers", "Default"], rows), then]
    return {
        "docs/reference/prompts.md": page("Prompts", "What the template asks, with defaults.", ["template"], *content)
    }


def _question(prompt: str | dict[str, str]) -> tuple[str, str]:
    if isinstance(prompt, str):
        return text(prompt), ""
    answers = [f"{code(name)}: {text(words)}" for name, words in prompt.items() if name != "__prompt__"]
    return text(prompt["__prompt__"]), "<br>".join(answers)


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return code("yes" if value else "no")
    if isinstance(value, list):
        return code(value[0])
    return code(value.replace("{{ cookiecutter.mcp_name }}", "<mcp_name>"))
