"""What comes of fuzzing: findings and figures, as a table and as a page."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 160
RECORDED = ("mcp", "starlette", "pyjwt", "pydantic-settings", "hypothesis", "atheris")
INTRODUCTION = """# Hostile inputs

What `make fuzz` wrote down. Each input went through one way in of a baked server, in process, as the octets that a
client, an issuer or an operator would send, and every answer was judged: no 5xx, no traceback or error in the log, no
token or secret in answer or log, no broken header, no answer that does not end, nobody let in without a good token.
"Blocks left per input" are blocks of memory once caches are warm, more than 1 is a finding; "slowest" is an input as
large and as bad as can be, "x4" how many times as long it takes as a quarter of it, where that can be measured, and
more than 8 is a finding. Atheris goes where new code is reached.
"""


@dataclass
class Outcome:
    """What came of one subject and one fuzzer. `findings`: words -> the shortest input; `ran`: when, and what with."""

    subject: str
    fuzzer: str
    inputs: int = 0
    seconds: float = 0.0
    left_behind: float = 0.0
    slowest: float = 0.0
    factor: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)
    ran: str = ""

    @property
    def cost(self) -> tuple[str, str, str]:
        """What Hypothesis measured, for a table."""
        if self.fuzzer != "hypothesis":
            return ("", "", "")
        return (f"{self.left_behind:.2f}", f"{self.slowest * 1000:.1f}", f"{self.factor:.1f}" if self.factor else "")

    def note(self, error: BaseException, octets: bytes) -> None:
        """One finding for each place and kind, with the shortest input that shows it."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"[:400]
        known = next((each for each in self.findings if each[:80] == words[:80]), words)
        if known not in self.findings or len(bytes.fromhex(self.findings[known])) > len(octets):
            self.findings[known] = octets.hex()


def table(outcomes: Sequence[Outcome], style: box.Box) -> Table:
    """A row for each subject and fuzzer, and one for all of them."""
    titles = ("subject", "fuzzer", "inputs", "seconds", "blocks left per input", "slowest, ms", "x4", "findings")
    made = Table(*titles, box=style)
    for each in outcomes:
        amounts = (f"{each.inputs:,}", f"{each.seconds:,.0f}")
        made.add_row(each.subject, each.fuzzer, *amounts, *each.cost, str(len(each.findings)))
    inputs, seconds = sum(each.inputs for each in outcomes), sum(each.seconds for each in outcomes)
    findings = sum(len(each.findings) for each in outcomes)
    made.add_row("all", "", f"{inputs:,}", f"{seconds:,.0f}", "", "", "", str(findings))
    return made


def shown(outcomes: Sequence[Outcome], console: Console, style: box.Box = box.HEAVY_HEAD) -> None:
    """The table, and every finding with its input as hex digits."""
    console.print(table(outcomes, style))
    for each in outcomes:
        for words, octets in each.findings.items():
            console.print(f"{each.subject}: {words}\n    {octets[:4000]}", markup=False, highlight=False)


def record(outcomes: Sequence[Outcome], file: Path, order: Sequence[tuple[str, str]]) -> None:
    """Puts outcomes into a file of JSON, in place of earlier ones of the same, and writes the page beside it.

    `order`: which are kept at all, by subject and fuzzer.
    """
    earlier = [Outcome(**each) for each in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []
    known = {(each.subject, each.fuzzer): each for each in [*earlier, *outcomes]}
    kept = [known[part] for part in order if part in known]
    file.write_text(json.dumps([asdict(each) for each in kept], indent=1) + "\n", encoding="utf-8")
    page = io.StringIO()
    console = Console(file=page, width=WIDTH)
    shown(kept, console, box.MARKDOWN)
    console.print(*dict.fromkeys(f"Run on {each.ran}." for each in kept), sep="\n", soft_wrap=True)
    lines = (line.rstrip() for line in page.getvalue().splitlines())
    file.with_suffix(".md").write_text("\n".join([INTRODUCTION.rstrip(), *lines]) + "\n", encoding="utf-8")


def ran() -> str:
    """When, and what with."""
    versions = (f"{name} {each.version}" for name in RECORDED for each in importlib.metadata.distributions(name=name))
    return ", ".join([f"{datetime.now(UTC).date()}: Python {platform.python_version()}", *versions])
