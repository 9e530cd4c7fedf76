"""`make fuzz`: hostile inputs at every way in, by Hypothesis and, where it is installed, coverage-guided by atheris.

Each subject runs in a process of its own, for atheris changes what is imported and never comes back.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from tests.fuzz.outcome import WIDTH, Outcome, ran, record, shown

if TYPE_CHECKING:
    from tests.fuzz.subject import Judge, Subject

FUZZERS = ("hypothesis", "atheris")
INSTRUMENTED = ["stytch_mcp", "stytch_mcp_kit", "mcp", "jwt", "starlette", "dotenv", "pydantic_settings"]
THOUSAND = 1000
LATEST = 200
MOST_LEFT_BEHIND = 1.0
# Of a subject's inputs: Hypothesis takes some milliseconds to draw one, atheris some microseconds.
SHARE = {"hypothesis": 0.05, "atheris": 1.0}
LEAST = 500


class Enough(BaseException):
    """As many inputs as were asked for."""


class Counted:
    """A judge that notes what is wrong and goes on, until there were enough inputs."""

    def __init__(self, judge: Judge, outcome: Outcome, inputs: int, finish: Callable[[], None]) -> None:
        self._judge = judge
        self._outcome = outcome
        self._inputs = inputs
        self._finish = finish
        self._began = time.monotonic()
        self.latest: deque[bytes] = deque(maxlen=LATEST)

    def __call__(self, octets: bytes) -> None:
        outcome = self._outcome
        self.latest.append(octets)
        try:
            self._judge(octets)
        except Exception as error:  # noqa: BLE001, every one is a finding
            outcome.note(error, octets)
        outcome.inputs += 1
        if outcome.inputs == self._inputs:
            outcome.seconds = time.monotonic() - self._began
            self._finish()


def with_hypothesis(subject: Subject, judge: Judge, outcome: Outcome, inputs: int) -> None:
    """Draws from the strategy; then measures what inputs leave behind and how time grows with them."""
    from hypothesis import HealthCheck, given, settings

    from tests.fuzz.measures import STEEPEST, left_behind, slowest

    def finish() -> None:
        raise Enough

    counted = Counted(judge, outcome, inputs, finish)
    for octets in subject.seeds:
        counted(octets)

    @settings(database=None, deadline=None, max_examples=2 * inputs, suppress_health_check=list(HealthCheck))
    @given(subject.strategy)
    def drawn(octets: bytes) -> None:
        counted(octets)

    with suppress(Enough):
        drawn()

    def quiet(octets: bytes) -> None:
        with suppress(Exception):  # was noted when it came first
            judge(octets)

    outcome.left_behind = left_behind(quiet, list(counted.latest))
    if outcome.left_behind > MOST_LEFT_BEHIND:
        outcome.findings[f"each input leaves {outcome.left_behind:.2f} blocks of memory behind"] = ""
    outcome.slowest, outcome.factor = slowest(subject, quiet)
    if outcome.factor > STEEPEST:
        outcome.findings[f"four times as long takes {outcome.factor:.1f} times as long"] = ""


def with_atheris(subject: Subject, judge: Judge, outcome: Outcome, inputs: int) -> None:
    """Starts from the seeds and goes where new code is reached. Ends the process."""
    atheris = importlib.import_module("atheris")

    def finish() -> None:
        report(outcome)
        os._exit(0)

    folder = tempfile.mkdtemp()
    for octets in subject.seeds:
        Path(folder, hashlib.sha256(octets).hexdigest()).write_bytes(octets)
    longest = max(4096, 2 * max(map(len, subject.seeds)))
    options = [f"-max_len={longest}", "-len_control=0", "-rss_limit_mb=0", "-timeout=120", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, folder], Counted(judge, outcome, inputs, finish))
    atheris.Fuzz()


def report(outcome: Outcome) -> None:
    """One line of JSON for the process that waits for it."""
    click.echo(json.dumps(asdict(outcome)))


def run_one(name: str, fuzzer: str, inputs: int) -> None:
    """In a process of its own."""
    if fuzzer == "atheris":
        with importlib.import_module("atheris").instrument_imports(include=INSTRUMENTED):
            subjects: Any = importlib.import_module("tests.fuzz.subjects")
    else:
        subjects = importlib.import_module("tests.fuzz.subjects")
    subject: Subject = next(each for each in subjects.ALL if each.name == name)
    outcome = Outcome(name, fuzzer)
    with subject.opened() as judge:
        {"hypothesis": with_hypothesis, "atheris": with_atheris}[fuzzer](subject, judge, outcome, inputs)
    report(outcome)


def start(name: str, fuzzer: str, inputs: int) -> Outcome:
    """Runs a subject in a process, and returns what came of it."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--fuzzer", fuzzer, "--inputs", str(inputs), "--here"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"subject"')]
    if not lines:
        return Outcome(name, fuzzer, findings={f"the process ended: {done.stderr[-1500:]}": ""}, ran=ran())
    return Outcome(**{**json.loads(lines[-1]), "ran": ran()})


@click.command()
@click.argument("names", nargs=-1)
@click.option("--fuzzer", type=click.Choice(FUZZERS), help="One of the two; both where this is not given.")
@click.option("--inputs", type=int, help="How many for each subject and fuzzer, in place of the subject's own.")
@click.option("--jobs", default=2, show_default=True, help="How many processes at once.")
@click.option(
    "--record",
    "recorded",
    type=click.Path(path_type=Path),
    help="Put the figures into this JSON, and a page beside it.",
)
@click.option("--here", is_flag=True, hidden=True)
@click.option("--hex", "octets", help="Judge this one input, given as hex digits, and show what is wrong.")
def main(
    names: tuple[str, ...],
    fuzzer: str | None,
    inputs: int | None,
    jobs: int,
    recorded: Path | None,
    here: bool,
    octets: str | None,
) -> None:
    """Fuzzes all subjects, or those that are named. Exits with 1 when something was found."""
    if here:
        assert fuzzer is not None
        assert inputs is not None
        run_one(names[0], fuzzer, inputs)
        return
    from tests.fuzz.subjects import ALL

    chosen = [subject for subject in ALL if not names or subject.name in names]
    if octets is not None:
        with chosen[0].opened() as judge:
            judge(bytes.fromhex(octets))
        return
    console = Console(width=WIDTH)
    fuzzers, share = [fuzzer] if fuzzer else list(FUZZERS), SHARE
    if "atheris" in fuzzers and importlib.util.find_spec("atheris") is None:
        console.print("Without atheris, which is not installed here: Hypothesis alone.")
        fuzzers, share = ["hypothesis"], {"hypothesis": 1.0}
    wanted = {
        (each.name, by): inputs or max(LEAST, int(each.inputs * THOUSAND * share[by]))
        for each in chosen
        for by in fuzzers
    }
    order = list(wanted)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(jobs) as pool:
        going = [pool.submit(start, *part, count) for part, count in wanted.items()]
        for one in as_completed(going):
            outcomes.append(done := one.result())
            so_far = f"{done.inputs:,} inputs in {done.seconds:.0f} s, {len(done.findings)} findings"
            console.print(f"{len(outcomes)} of {len(going)}: {done.subject}, {done.fuzzer}: {so_far}")
            outcomes.sort(key=lambda each: order.index((each.subject, each.fuzzer)))
            if recorded is not None:
                record(outcomes, recorded, [(each.name, by) for each in ALL for by in FUZZERS])
    shown(outcomes, console)
    sys.exit(any(each.findings for each in outcomes))


if __name__ == "__main__":
    main()
