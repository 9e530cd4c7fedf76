"""Which principals may come in. Denies by default; any one rule that matches admits."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import NOT_ALLOWED, Refused
from stytch_mcp.protect.subjects import Directory

EVERYONE = "*"

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class AccessRules:
    """The ALLOWED_* settings. Addresses and domains in lower case."""

    users: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    def admits_subject(self, principal: Principal) -> bool:
        """By what the token itself says."""
        return (
            EVERYONE in self.users
            or principal.subject in self.users
            or (principal.organization is not None and principal.organization in self.organizations)
        )

    def admits_email(self, addresses: Iterable[str]) -> bool:
        """By verified addresses. The domain is what follows the last `@`; subdomains are other domains."""
        return any(address in self.emails or _domain(address) in self.domains for address in map(fold, addresses))

    @property
    def about_email(self) -> bool:
        """Whether any rule needs to know an address."""
        return bool(self.emails or self.domains)


def fold(address: str) -> str:
    """An address for comparison: ASCII letters in lower case, no others, for some of those become ASCII letters."""
    return address.lower() if address.isascii() else address.translate(_LOWER)


def _domain(address: str) -> str | None:
    _, at, domain = address.rpartition("@")
    return domain if at else None


class AccessPolicy:
    """Applies the rules on every request. `subjects`: one for each issuer whose tokens do not carry the addresses."""

    def __init__(self, rules: AccessRules, *subjects: Directory | None) -> None:
        self.rules = rules
        self._subjects = {each.issuer: each for each in subjects if each is not None}

    async def admit(self, principal: Principal) -> None:
        """Returns for a principal that may come in.

        Raises Refused: NOT_ALLOWED (403), or SUBJECT_UNAVAILABLE (503) when that cannot be known now.
        """
        if self.rules.admits_subject(principal):
            return
        if self.rules.about_email:
            if self.rules.admits_email(principal.emails):
                return
            if self.rules.admits_email(await self._looked_up(principal)):
                return
        raise Refused(
            NOT_ALLOWED,
            f"no ALLOWED_* rule matches {principal.subject}",
            issuer=principal.issuer,
            client_id=principal.client_id,
        )

    async def _looked_up(self, principal: Principal) -> frozenset[str]:
        subjects = self._subjects.get(principal.issuer)
        return await subjects.emails(principal) if subjects is not None else frozenset()
