"""The security review, from sitetools/security_review.yaml."""

from pathlib import Path

import yaml
from markdown_text import code, page, table, text

REVIEW = Path(__file__).resolve().parents[1] / "security_review.yaml"
# Where the tests of a place lie, below the repository.
PLACES = {
    "server": "{{cookiecutter.mcp_name}}/tests",
    "runtime": "tests/runtime",
    "kit": "tests/kit",
    "check": "tests/check",
    "faults": "tests/faults",
    "root": "tests",
    "coda": "examples/coda-mcp/tests/own",
}


def file_of(name: str) -> str:
    """The file of a test `place/file::function`, below the repository."""
    place, _, rest = name.partition("/")
    return f"{PLACES[place]}/{rest.partition('::')[0]}.py"


def pages() -> dict[str, str]:
    """explanation/security-review.md"""
    content = [
        "Each section on security of four documents: what it warns of, what stands against it here, and the tests that fail "
        "when that is taken away. What is not done stands below its table. The threats in this project's own words are in the "
        "[threat model](threat-model.md).",
        "Where tests lie: "
        + "; ".join(f"`{place}` in {code(folder)}" for place, folder in PLACES.items())
        + ". One test with many rows may stand for several threats.",
    ]
    for each in yaml.safe_load(REVIEW.read_text(encoding="utf-8")):
        rows = each["rows"]
        content += [
            f"## {text(each['document'])}",
            f"Read: {text(each['what'])}.",
            table(
                ["Section", "Threat", "Defence", "Tests"],
                [
                    (
                        text(row["section"]),
                        text(row["threat"]),
                        text(row["defence"]),
                        "<br>".join(map(code, row["tests"])),
                    )
                    for row in rows
                ],
            ),
        ]
        gaps = [f"- **{text(row['section'])}**: {text(row['gap'])}" for row in rows if "gap" in row]
        if gaps:
            content += ["What is not done:", "\n".join(gaps)]
    name = "docs/explanation/security-review.md"
    return {name: page("Security review", "Threat, defence and test, by four documents.", ["security"], *content)}
