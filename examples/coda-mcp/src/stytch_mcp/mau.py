"""Monthly active principals, counted from the audit log: what authorization servers charge for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stytch_mcp.protect.bearer import SUBJECT_PREFIX

WARN_AT = 0.8
# Whoever is refused is no user of this server.
PASSIVE = "refusal"


@dataclass
class Activity:
    """Who was active in which month (UTC), for example "2026-11"; `other` counts lines that are not the audit log's."""

    months: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    other: int = 0

    def read(self, lines: Iterable[str]) -> None:
        """Takes in lines of a log, whatever else is in it and whatever stands before them."""
        for line in lines:
            entry = entry_of(line)
            month = _month(entry.get("time"))
            if "audit" not in entry or month is None:
                self.other += bool(line.strip())
                continue
            subject = entry.get("subject")
            # A service token of Cloudflare Access has one name for both.
            is_service = subject == entry.get("client_id")
            if isinstance(subject, str) and not is_service and _is_active(entry["audit"], subject):
                self.months[month].add(subject)


def _is_active(event: object, subject: str) -> bool:
    return event != PASSIVE and subject != "" and not subject.startswith(SUBJECT_PREFIX)


def entry_of(line: str) -> dict[str, Any]:
    """What a line of a log says, or nothing; `docker compose logs` puts the container before each line."""
    try:
        entry = json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _month(stamp: object) -> str | None:
    try:
        return datetime.fromisoformat(str(stamp)).astimezone(UTC).strftime("%Y-%m")
    except (ValueError, OverflowError):
        return None
