"""What a check is: one requirement, who says so, who cares, what it costs to miss it, and how to mend it."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stytch_mcp_kit.check.walk import Walk


class Level(StrEnum):
    """How strongly the requirement is worded (RFC 2119). MUST decides the exit code."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Severity(StrEnum):
    """What missing it costs."""

    BLOCKS = "blocks"
    """Clients cannot connect."""
    EXPOSES = "exposes"
    """Somebody may get in, or learn something, who should not."""
    DEGRADES = "degrades"
    """Clients connect, and something is worse for them."""


class Needs(StrEnum):
    """What a check takes beyond looking; one option of the command each."""

    NOTHING = "passive"
    REGISTER = "register"
    TOKEN = "token"
    LOGIN = "login"
    ISSUER = "full"


MCP_AUTHORIZATION: Final = "MCP authorization"
MCP_DISCOVERY: Final = "MCP authorization server discovery"
MCP_REGISTRATION: Final = "MCP client registration"
MCP_OAUTH_SECURITY: Final = "MCP authorization security"
MCP_HTTP: Final = "MCP Streamable HTTP"
MCP_VERSIONING: Final = "MCP versioning"
MCP_BASE: Final = "MCP basic protocol"
MCP_TOOLS: Final = "MCP tools"
MCP_CACHING: Final = "MCP caching"
MCP_SECURITY: Final = "MCP security best practices"
OAUTH: Final = "OAuth 2.1"
CLAUDE: Final = "Claude connector documentation"
OPENAI: Final = "OpenAI plugin documentation"
PRACTICE: Final = "practice"
"""No document asks for it; what was seen to go wrong without it does."""


@dataclass(frozen=True)
class Requirement:
    """Where it stands. `since`: the first MCP revision in which it holds with this strength, or empty."""

    document: str
    section: str
    level: Level
    since: str = ""

    def __str__(self) -> str:
        since = f" (since {self.since})" if self.since else ""
        return f"{self.level} {self.document}, {self.section}{since}"


class NotReached(Exception):
    """The check needs something that an earlier hop did not yield; the words say which."""


class NotApplicable(Exception):
    """The requirement does not concern this server; the words say why."""


Run = Callable[["Walk"], Awaitable[str | None]]


@dataclass(frozen=True)
class Check:
    """`run` gives None when the requirement holds, else what was found; it may raise NotReached, NotApplicable.

    `clients`: the profiles that care, none named: all of them.
    """

    id: str
    title: str
    area: str
    requirement: Requirement
    severity: Severity
    why: str
    fix: str
    clients: tuple[str, ...]
    needs: Needs
    run: Run

    @property
    def level(self) -> Level:
        return self.requirement.level

    def concerns(self, client: str) -> bool:
        return not self.clients or client in self.clients


@dataclass
class Area:
    """The checks of one subject, in order; their ids begin with its prefix and never change."""

    prefix: str
    name: str
    about: str
    """What it holds when all is well."""
    checks: list[Check] = field(default_factory=list)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def check(
        self,
        name: str,
        title: str,
        requirement: Requirement,
        severity: Severity,
        *,
        why: str,
        fix: str,
        clients: tuple[str, ...] = (),
        needs: Needs = Needs.NOTHING,
    ) -> Callable[[Run], Run]:
        """Adds the function below it as the next check of this area; `name` is the id."""
        assert name.startswith(f"{self.prefix}-")

        def add(run: Run) -> Run:
            self.checks.append(Check(name, title, self.name, requirement, severity, why, fix, clients, needs, run))
            return run

        return add


def must(document: str, section: str, since: str = "") -> Requirement:
    return Requirement(document, section, Level.MUST, since)


def should(document: str, section: str, since: str = "") -> Requirement:
    return Requirement(document, section, Level.SHOULD, since)


def may(document: str, section: str, since: str = "") -> Requirement:
    return Requirement(document, section, Level.MAY, since)


def shown(value: object, limit: int = 120) -> str:
    """What somebody else wrote, fit for a terminal and a report: short, on one line, without control characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(character if character.isprintable() else "?" for character in text[: limit + 1])
    return f"{text[:limit]}..." if len(text) > limit else text
