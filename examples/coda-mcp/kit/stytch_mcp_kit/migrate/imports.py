"""Users into WorkOS: each once, whatever was interrupted before, and with the principal they had."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from stytch_mcp_kit.migrate.people import NotMoved, Person
from stytch_mcp_kit.migrate.services import ServiceError, Workos, some_at_a_time

CREATED, ALREADY, ADOPTED, WOULD_CREATE, WOULD_ADOPT = "created", "already there", "adopted", "to create", "to adopt"


@dataclass
class Outcome:
    """What became of everybody. `broken`: why it ended early, and running it again goes on."""

    done: Counter[str] = field(default_factory=Counter)
    not_moved: list[NotMoved] = field(default_factory=list)
    broken: str | None = None


@dataclass(frozen=True)
class Import:
    """`dry_run` writes nothing. `adopt`: users of WorkOS with the verified address of a person are that person."""

    workos: Workos
    dry_run: bool = False
    adopt: bool = False

    async def run(self, people: Iterable[Person], progress: Callable[[], None]) -> Outcome:
        """Moves them, some at a time, and ends early when WorkOS does not answer any more."""
        outcome = Outcome()

        async def move(somebody: Person) -> None:
            result = await self.move(somebody)
            if isinstance(result, NotMoved):
                outcome.not_moved.append(result)
            else:
                outcome.done[result] += 1
            progress()

        try:
            await some_at_a_time(people, move)
        except ServiceError as error:
            outcome.broken = str(error)
        return outcome

    async def move(self, somebody: Person) -> str | NotMoved:
        """Moves one person who has a verified address. Asked again, it finds what it did. Raises ServiceError."""
        if await self.workos.by_external_id(somebody.user_id) is not None:
            return ALREADY
        if self.dry_run:
            other = await self.workos.by_email(somebody.addresses[0])
            return WOULD_CREATE if other is None else await self.taken(somebody, other)
        refused = await self.workos.create(somebody.at_workos())
        if refused is None:
            return CREATED
        # Also when an earlier attempt went through and its answer was lost.
        other = await self.workos.by_email(somebody.addresses[0])
        if other is None:
            return NotMoved(somebody, f"WorkOS refuses: {refused}")
        return await self.taken(somebody, other)

    async def taken(self, somebody: Person, other: dict[str, Any]) -> str | NotMoved:
        """Their address is that of a user of WorkOS already."""
        if other.get("external_id") == somebody.user_id:
            return ALREADY
        name = f"the WorkOS user {other.get('id')}"
        if other.get("external_id"):
            return NotMoved(somebody, f"{name} has the address, and is the principal {other['external_id']}")
        if other.get("email_verified") is not True:
            return NotMoved(somebody, f"{name} has the address and never verified it: delete that user or wait")
        if not self.adopt:
            return NotMoved(somebody, f"{name} has the address: with --adopt that user becomes this principal")
        if self.dry_run:
            return WOULD_ADOPT
        refused = await self.workos.set_external_id(str(other["id"]), somebody.user_id)
        return ADOPTED if refused is None else NotMoved(somebody, f"WorkOS refuses: {refused}")
