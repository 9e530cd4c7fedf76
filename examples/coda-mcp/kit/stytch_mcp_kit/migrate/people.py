"""The people in an export: one line of JSON each, and who of them can be moved as they are."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = ("user_id", "status", "created_at", "name", "emails")
LONGEST_EXTERNAL_ID = 64
LONGEST_METADATA = 600


class ExportError(Exception):
    """The file is not an export. The words are for the person at the command."""


@dataclass(frozen=True)
class Person:
    """A Stytch user. `addresses` are the verified ones, the first of them the one that moves."""

    user_id: str
    addresses: tuple[str, ...]
    unverified: tuple[str, ...] = ()
    phones: int = 0
    first_name: str = ""
    last_name: str = ""

    def at_workos(self) -> dict[str, Any]:
        """The user as WorkOS is to know them: by `external_id` they stay who they were."""
        others = ", ".join(self.addresses[1:])
        user: dict[str, Any] = {
            "email": self.addresses[0],
            "email_verified": True,
            "external_id": self.user_id,
            "first_name": self.first_name or None,
            "last_name": self.last_name or None,
            "metadata": {"other_addresses": others[:LONGEST_METADATA]} if others else None,
        }
        return {name: value for name, value in user.items() if value is not None}

    def has(self, address: object) -> bool:
        """Whether this is a verified address of the person."""
        return isinstance(address, str) and address.lower() in (known.lower() for known in self.addresses)


@dataclass(frozen=True)
class NotMoved:
    """Somebody who stays behind, and why."""

    person: Person
    reason: str


def kept(user: dict[str, Any]) -> str:
    """The line of a user as Stytch's search gave it: names and addresses, and how many telephone numbers."""
    line = {name: user.get(name) for name in KEPT}
    phones = user.get("phone_numbers")
    return json.dumps({**line, "phones": len(phones) if isinstance(phones, list) else 0}, ensure_ascii=False)


def person(line: str) -> Person:
    """Somebody from a line. Raises ValueError or KeyError."""
    user = json.loads(line)
    emails = [(each["email"], each["verified"] is True) for each in user["emails"] or []]
    name = user.get("name") or {}
    found = Person(
        user_id=user["user_id"],
        addresses=tuple(address for address, verified in emails if verified),
        unverified=tuple(address for address, verified in emails if not verified),
        phones=user.get("phones") or 0,
        first_name=name.get("first_name") or "",
        last_name=name.get("last_name") or "",
    )
    if not all(isinstance(text, str) and text for text in (found.user_id, *(address for address, _ in emails))):
        raise ValueError("not a user")
    return found


def read(path: Path) -> list[Person]:
    """Everybody in an export, each once: of several lines for one user the last counts. Raises ExportError."""
    found: dict[str, Person] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                somebody = person(line)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ExportError(f"{path}, line {number} is not a user: is it what export-users wrote?") from None
            found[somebody.user_id] = somebody
    return list(found.values())


def sort_out(people: Iterable[Person], left_out: Collection[str] = ()) -> tuple[list[Person], list[NotMoved]]:
    """Who can be moved as they are, and who not: no two may claim one address, and every address must be verified."""
    movable, stay = [], []
    claims: dict[str, list[Person]] = defaultdict(list)
    for somebody in people:
        if somebody.user_id in left_out:
            stay.append(NotMoved(somebody, "left out, as asked"))
        elif len(somebody.user_id) > LONGEST_EXTERNAL_ID:
            stay.append(NotMoved(somebody, f"the user ID is longer than {LONGEST_EXTERNAL_ID} characters"))
        elif somebody.addresses:
            claims[somebody.addresses[0].lower()].append(somebody)
        else:
            stay.append(NotMoved(somebody, without_address(somebody)))
    for address, claimants in claims.items():
        if len(claimants) == 1:
            movable += claimants
            continue
        for somebody in claimants:
            others = ", ".join(other.user_id for other in claimants if other is not somebody)
            stay.append(NotMoved(somebody, f"shares {address} with {others}: choose, and --leave-out the rest"))
    return movable, stay


def without_address(somebody: Person) -> str:
    if somebody.unverified:
        return "no verified e-mail address: they verify it at Stytch when they log in there"
    if somebody.phones:
        return "a telephone number and no e-mail address, which WorkOS needs"
    return "no e-mail address, which WorkOS needs"
