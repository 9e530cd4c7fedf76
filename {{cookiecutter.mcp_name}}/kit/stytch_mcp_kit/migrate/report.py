"""Who has moved, as the audit log tells: which issuer's tokens people still come with."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

TOOL_CALL = "tool_call"
# What a line calls its kind, its moment, who called, through which application; the audit log's own names first.
KIND, AT, SUBJECT, CLIENT = ("audit", "event"), ("time", "timestamp"), ("subject",), ("client", "client_id")
NOT_NAMED = "(not named in the log)"


@dataclass(frozen=True)
class Call:
    """One line of the audit log about a tool call. `at` is RFC 3339 in UTC, so that texts compare as times do."""

    at: str
    subject: str
    issuer: str
    client_id: str


@dataclass
class Share:
    """What one issuer's tokens were used for."""

    calls: int = 0
    people: set[str] = field(default_factory=set)
    connections: set[tuple[str, str]] = field(default_factory=set)
    last: str = ""

    def add(self, call: Call) -> None:
        self.calls += 1
        self.people.add(call.subject)
        self.connections.add((call.subject, call.client_id))
        self.last = max(self.last, call.at)


def calls(lines: Iterable[str], since: str = "") -> Iterator[Call]:
    """The tool calls in an audit log, from `since` on (any beginning of an RFC 3339 time). Other lines do not count."""
    for line in lines:
        if TOOL_CALL not in line:
            continue
        try:
            # `docker compose logs` puts the container before each line.
            entry = json.loads(line[line.find("{") :])
        except (ValueError, RecursionError):
            continue
        call = read(entry) if isinstance(entry, dict) else None
        if call is not None and call.at >= since:
            yield call


def read(entry: dict[str, Any]) -> Call | None:
    """The call of a line, or None where it is about something else."""
    kind, at, subject, client = (text(entry, names) for names in (KIND, AT, SUBJECT, CLIENT))
    if kind != TOOL_CALL or at is None or subject is None or client is None:
        return None
    return Call(at, subject, text(entry, ("issuer",)) or NOT_NAMED, client)


def text(entry: dict[str, Any], names: Sequence[str]) -> str | None:
    values = (entry.get(name) for name in names)
    return next((value for value in values if isinstance(value, str)), None)


@dataclass
class Report:
    """Calls by issuer, in the order in which issuers appeared, and each person's last call by issuer."""

    shares: dict[str, Share] = field(default_factory=dict)
    last: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        self.shares.setdefault(call.issuer, Share()).add(call)
        of_person = self.last.setdefault(call.subject, {})
        of_person[call.issuer] = max(of_person.get(call.issuer, ""), call.at)

    def not_yet(self, old: str, new: str) -> dict[str, str]:
        """Who came with tokens of `old` and never with those of `new`: principal -> last call, the latest first."""
        return self._latest_first(
            {who: seen[old] for who, seen in self.last.items() if old in seen and new not in seen}
        )

    def half_way(self, old: str, new: str) -> dict[str, str]:
        """Who came with both, and the last call with the old one: an application may still have to move."""
        both = {who: seen[old] for who, seen in self.last.items() if old in seen and new in seen}
        return self._latest_first(both)

    @staticmethod
    def _latest_first(found: dict[str, str]) -> dict[str, str]:
        return dict(sorted(found.items(), key=lambda item: (item[1], item[0]), reverse=True))


def summarize(found: Iterable[Call]) -> Report:
    report = Report()
    for call in found:
        report.add(call)
    return report
