"""The example: the template baked with its answers, plus its owner's files, whose tests pass."""

from pathlib import Path

import pytest
from bake import ROOT
from example import ANSWERS, COMMAND, EXAMPLE, bake_example, examples_part, is_owned, owned, templates_part


def test_the_example_is_what_the_template_makes(tmp_path: Path) -> None:
    baked = bake_example(tmp_path)
    wanted, found = templates_part(baked), examples_part(owned(baked))
    differing = sorted(
        str(file) for file in wanted.keys() | found.keys() if wanted.get(file, None) != found.get(file, None)
    )
    assert not differing, f"{EXAMPLE} is not the template baked with {ANSWERS}; run: {COMMAND}"


@pytest.mark.parametrize(
    ("file", "mine"),
    [
        ("src/coda_mcp/tools/rows.py", True),
        ("local/app.py", True),
        ("tests/own/test_rows.py", True),
        (".env.example", True),
        ("src/stytch_mcp/app.py", False),
        ("tests/conftest.py", False),
        ("kit/pyproject.toml", False),
        ("requirements.lock", False),
        ("Makefile", False),
    ],
)
def test_whose_file_it_is(file: str, mine: bool) -> None:
    assert is_owned(Path(file), owned(ROOT / EXAMPLE)) is mine


def test_the_example_does_not_name_a_commit_of_its_template() -> None:
    assert not (ROOT / EXAMPLE / ".cruft.json").exists()
