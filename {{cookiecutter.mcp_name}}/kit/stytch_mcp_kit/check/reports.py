"""A report as a person, a pipeline or a code host reads it. No secret gets this far: see `runner.hidden`."""

import io
import json
from collections.abc import Callable
from typing import Any, Final
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stytch_mcp_kit import __version__
from stytch_mcp_kit.check.areas import AREAS
from stytch_mcp_kit.check.clients import OPTIONS, Verdict
from stytch_mcp_kit.check.registry import Area, Check, Level, Needs
from stytch_mcp_kit.check.runner import Report, Result, Status

NAME: Final = "mcp-check"
SARIF_LEVELS: Final = {Level.MUST: "error", Level.SHOULD: "warning", Level.MAY: "note"}
COLORS: Final = {Level.MUST: "red", Level.SHOULD: "yellow", Level.MAY: "cyan"}
MARKS: Final = {Status.HOLDS: "ok", Status.FAILS: "!", Status.NOT_REACHED: "not reached"}


def summary(report: Report) -> str:
    """The last line: how many, and what an option would add."""
    if report.unreachable is not None:
        return f"{report.url} cannot be reached: {report.unreachable}."
    asked = [result for result in report.results if result.status is not Status.NOT_ASKED]
    parts = [f"{len(report.of(Status.HOLDS))} hold"]
    for level in Level:
        failing = len(report.failing(level))
        if failing or level is Level.MUST:
            parts.append(f"{failing} {level} {'fails' if failing == 1 else 'fail'}")
    others = (Status.NOT_REACHED, Status.NOT_APPLICABLE)
    parts += [f"{len(report.of(status))} {status}" for status in others if report.of(status)]
    line = f"{len(asked)} checks: {', '.join(parts)}."
    left = report.of(Status.NOT_ASKED)
    options = [OPTIONS[need] for need in Needs if any(result.check.needs is need for result in left)]
    if left:
        line += f"  {len(left)} more need {', '.join(options[:-1]) + ' or ' if options[:-1] else ''}{options[-1]}."
    return line


def text(report: Report, width: int = 120, color: bool = False) -> str:
    """For a terminal."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, no_color=not color, highlight=False, emoji=False
    )
    console.print(f"Checking [bold]{escape(report.url)}[/bold] as a client would    depth: {report.depth}\n")
    for area in AREAS:
        results = [result for result in report.results if result.check.area == area.name]
        if any(result.status is not Status.NOT_ASKED for result in results):
            _area(console, area, results)
    if report.verdicts:
        _clients(console, report.verdicts)
    first = report.first_broken
    if first is not None:
        console.print(f"\n[bold]The first hop that breaks:[/bold] {first.check.id} {escape(first.check.title)}.")
        console.print(escape(f"{first.check.why} {first.check.fix}"))
    for note in report.notes:
        console.print(f"\n{escape(note)}")
    console.print(f"\n{escape(summary(report))}")
    output = console.file
    assert isinstance(output, io.StringIO)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _area(console: Console, area: Area, results: list[Result]) -> None:
    counts = {status: sum(result.status is status for result in results) for status in MARKS}
    said = "   ".join(f"{mark} {counts[status]}" for status, mark in MARKS.items() if counts[status])
    holds = all(result.status not in (Status.FAILS, Status.NOT_REACHED) for result in results)
    about = area.about if holds and counts[Status.HOLDS] else ""
    console.print(f"{area.name:<17}{said or 'nothing applies':<8}  [dim]{about}[/dim]")
    for result in results:
        if result.status is Status.FAILS:
            check = result.check
            color = COLORS[check.level]
            console.print(
                f"    [{color}]! {check.id}  {escape(check.title)}[/{color}]   {escape(str(check.requirement))}"
            )
            for line in (f"Found: {result.detail}", check.why, check.fix):
                console.print(f"             {escape(line)}")
    reasons = dict.fromkeys(result.detail for result in results if result.status is Status.NOT_REACHED)
    for reason in reasons:
        console.print(f"    not reached: {escape(reason)}", style="dim")


def _clients(console: Console, verdicts: tuple[Verdict, ...]) -> None:
    console.print()
    table = Table("client", "would register by", "returns to", "and", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[2].overflow = "fold"
    for verdict in verdicts:
        table.add_row(
            verdict.profile.title,
            (verdict.registration or "?").upper().replace("BY HAND", "a client id by hand"),
            escape("\n".join(verdict.redirect_uris)),
            escape(f"{outlook(verdict)}: {verdict.because}{ids(verdict)}"),
        )
    console.print(table)
    unconfirmed = [f"{v.profile.title}: {', '.join(v.profile.unconfirmed)}" for v in verdicts if v.profile.unconfirmed]
    if unconfirmed:
        console.print(escape(f"Unconfirmed. {'; '.join(unconfirmed)}."))


def outlook(verdict: Verdict) -> str:
    return {True: "would connect", False: "would not connect", None: "not known"}[verdict.accepts]


def ids(verdict: Verdict) -> str:
    return f" ({', '.join(verdict.decides)})" if verdict.decides else ""


def described(check: Check) -> dict[str, Any]:
    """A check as data."""
    requirement = check.requirement
    return {
        "id": check.id,
        "title": check.title,
        "area": check.area,
        "requirement": {
            "document": requirement.document,
            "section": requirement.section,
            "level": requirement.level,
            "since": requirement.since or None,
        },
        "severity": check.severity,
        "clients": list(check.clients) or "all",
        "needs": check.needs,
        "why": check.why,
        "fix": check.fix,
    }


def as_json(report: Report) -> str:
    """All of it, for programs."""
    values = {
        "url": report.url,
        "depth": report.depth,
        "exit_code": report.exit_code,
        "unreachable": report.unreachable,
        "first_broken": report.first_broken.check.id if report.first_broken else None,
        "checks": [
            {**described(result.check), "status": result.status, "detail": result.detail} for result in report.results
        ],
        "clients": [
            {
                "client": verdict.profile.name,
                "registration": verdict.registration,
                "redirect_uris": list(verdict.redirect_uris),
                "client_id_metadata": list(verdict.profile.client_id_metadata),
                "addresses": list(verdict.profile.addresses),
                "would_connect": verdict.accepts,
                "because": verdict.because,
                "checks": list(verdict.decides),
                "unconfirmed": list(verdict.profile.unconfirmed),
            }
            for verdict in report.verdicts
        ],
        "notes": list(report.notes),
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
    }
    return json.dumps(values, indent=2) + "\n"


def clean_xml(value: str) -> str:
    """Text without the characters that XML has not."""
    return "".join(
        each if each in "\t\n" or (each.isprintable() and each not in "\ufffe\uffff") else "?" for each in value
    )


def as_junit(report: Report) -> str:
    """A suite per area; a SHOULD that does not hold is a failure of type SHOULD, and does not decide."""
    root = ElementTree.Element("testsuites", name=NAME)
    if report.unreachable is not None:
        suite = ElementTree.SubElement(root, "testsuite", name="transport", tests="1", failures="0", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname="transport", name="the server can be reached")
        ElementTree.SubElement(case, "error", type="unreachable", message=clean_xml(report.unreachable))
    for area in AREAS:
        results = [result for result in report.results if result.check.area == area.name]
        if not results:
            continue
        failing = [result for result in results if result.status is Status.FAILS]
        left_out = [result for result in results if result.status not in (Status.HOLDS, Status.FAILS)]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=area.name,
            tests=str(len(results)),
            failures=str(len(failing)),
            errors="0",
            skipped=str(len(left_out)),
        )
        for result in results:
            check = result.check
            case = ElementTree.SubElement(
                suite, "testcase", classname=area.name.replace(" ", "_"), name=f"{check.id} {check.title}"
            )
            if result.status is Status.FAILS:
                failure = ElementTree.SubElement(case, "failure", type=check.level, message=clean_xml(result.detail))
                failure.text = clean_xml(f"{check.requirement}\n{check.why}\n{check.fix}")
            elif result.status is not Status.HOLDS:
                ElementTree.SubElement(case, "skipped", message=clean_xml(f"{result.status}: {result.detail}"))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def cell(value: str) -> str:
    """Text in a cell of a Markdown table: nothing of it is markup."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]<>#|~$" else each for each in value)


def as_markdown(report: Report) -> str:
    """For a pull request or an issue."""
    lines = [f"## mcp-check: {cell(report.url)}", "", f"Depth: {report.depth}. {cell(summary(report))}", ""]
    failing = report.of(Status.FAILS)
    if failing:
        lines += ["| check | level | found | what to change |", "| --- | --- | --- | --- |"]
        for result in failing:
            check = result.check
            lines.append(
                f"| {check.id} {cell(check.title)} | {check.level} | {cell(result.detail)} | {cell(check.fix)} |"
            )
        lines.append("")
    if report.verdicts:
        lines += ["| client | would register by | outlook |", "| --- | --- | --- |"]
        for verdict in report.verdicts:
            said = cell(f"{outlook(verdict)}: {verdict.because}{ids(verdict)}")
            lines.append(f"| {verdict.profile.title} | {verdict.registration or '?'} | {said} |")
        lines.append("")
    lines += [f"{cell(note)}\n" for note in report.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0, for code scanning. Findings are located at the URL."""
    rules = [
        {
            "id": result.check.id,
            "shortDescription": {"text": result.check.title},
            "fullDescription": {"text": result.check.why},
            "help": {"text": f"{result.check.fix} Requirement: {result.check.requirement}."},
            "defaultConfiguration": {"level": SARIF_LEVELS[result.check.level]},
            "properties": {"tags": [result.check.area, result.check.severity]},
        }
        for result in report.results
    ]
    results = [
        {
            "ruleId": result.check.id,
            "level": SARIF_LEVELS[result.check.level],
            "message": {"text": f"{result.check.title}: not so. {result.detail}"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": report.url}}}],
        }
        for result in report.of(Status.FAILS)
    ]
    invocation: dict[str, Any] = {"executionSuccessful": report.unreachable is None, "exitCode": report.exit_code}
    if report.unreachable is not None:
        message = {"text": summary(report)}
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": message}]
    driver = {"name": NAME, "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }
    return json.dumps(log, indent=2) + "\n"


FORMATS: Final[dict[str, Callable[[Report], str]]] = {
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
    "sarif": as_sarif,
}


def explained(check: Check) -> str:
    """What `--explain` prints."""
    clients = ", ".join(check.clients) or "all"
    option = OPTIONS.get(check.needs)
    return "\n".join(
        [
            f"{check.id}  {check.title}",
            "",
            f"Requirement  {check.requirement}",
            f"Area         {check.area}",
            f"Missing it   {check.severity}",
            f"Clients      {clients}",
            f"Runs         {f'with {option}' if option else 'always, without credentials'}",
            "",
            f"Why      {check.why}",
            f"Change   {check.fix}",
        ]
    )
