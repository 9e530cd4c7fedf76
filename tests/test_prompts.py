"""The ten questions, as a person at a terminal meets them."""

import json
import re
from pathlib import Path

from bake import user_config
from conftest import Run

PROMPTS = [
    "mcp_name",
    "title",
    "description",
    "author",
    "public_url",
    "upstream_url",
    "upstream_auth",
    "license",
    "kubernetes",
    "workos_migration",
]
PRIVATE = ["__package", "__prefix", "_version", "_copy_without_render", "__prompts__"]


def test_the_prompts_in_their_order_and_nothing_else(template: Path) -> None:
    questions = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    assert list(questions) == PROMPTS + PRIVATE


def test_every_prompt_and_every_choice_has_a_text(template: Path) -> None:
    questions = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    texts = questions["__prompts__"]
    assert list(texts) == PROMPTS
    for prompt in PROMPTS:
        if isinstance(questions[prompt], list):
            assert list(texts[prompt]) == ["__prompt__", *questions[prompt]]
        else:
            assert isinstance(texts[prompt], str)


def session(run: Run, python: str, template: Path, folder: Path, typed: list[str], code: int = 0) -> str:
    """What a person sees who types these lines."""
    command = [python, "-m", "cookiecutter", str(template), "--config-file", str(user_config(folder))]
    return run(*command, cwd=folder, stdin="\n".join(typed) + "\n", code=code)


def test_a_session_with_an_answer_and_nine_times_enter(run: Run, python: str, template: Path, tmp_path: Path) -> None:
    said = session(run, python, template, tmp_path, ["weather-mcp", *[""] * 9])
    assert re.findall(r"\[\d+/10\]", said) == [f"[{number}/10]" for number in range(1, 11)]
    assert "[1/10] Name of the server, also its command (notes-mcp)" in said
    assert "(https://weather-mcp.example.com)" in said
    assert said[said.index("Created") :].splitlines() == [
        "Created weather-mcp. Next:",
        "  cd weather-mcp && make install   # its own .venv, locked and hash-checked",
        "  make dev                         # server + local Stytch on this machine, no account needed",
        "  make test                        # its tests",
        'The tools are yours: src/weather_mcp/tools/. Going live: README, "Go live".',
        'To follow updates, once: cruft link, see README, "Updates".',
    ]
    assert (tmp_path / "weather-mcp" / "src" / "weather_mcp" / "constants.py").is_file()


def test_a_typed_template_mark_is_refused_because_an_update_would_render_it(
    run: Run, python: str, template: Path, tmp_path: Path
) -> None:
    said = session(run, python, template, tmp_path, ["", "{{ 7 * 7 }}", *[""] * 8], code=1)
    assert '  title  "{{ 7 * 7 }}": without the marks' in said
    assert not (tmp_path / "notes-mcp").exists()
