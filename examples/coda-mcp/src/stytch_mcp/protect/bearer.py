"""Named static tokens: the fallback for clients that cannot log in, such as Claude Code in CI.

Only the SHA-256 of a token is configured; the token itself is known to its holder alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import BEARER_ENDED, Refused
from stytch_mcp.protect.remote import Clock
from stytch_mcp.protect.scopes import SCOPE_NAME

ISSUER = "bearer-token"
SUBJECT_PREFIX = "token:"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# RFC 6750 section 2.1: what may follow "Bearer ".
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class BearerToken:
    """One entry of BEARER_TOKENS. It is valid through the whole day `until`, UTC."""

    name: str
    digest: str
    scopes: frozenset[str]
    until: date | None = None

    @classmethod
    def parse(cls, entry: str) -> BearerToken:
        """From `name|sha256hex|scope scope|YYYY-MM-DD`, the date optional. Raises ValueError with words."""
        name, digest, scopes, until = [*(part.strip() for part in entry.split("|")), "", "", ""][:4]
        if entry.count("|") not in (2, 3):
            raise ValueError("an entry is name|sha256|scopes or name|sha256|scopes|YYYY-MM-DD")
        if not _NAME.fullmatch(name):
            raise ValueError("a name has up to 64 letters, digits and . _ -, a letter or digit first")
        if not _DIGEST.fullmatch(digest.lower()):
            # Without the name: where the parts are in the wrong order, that is the token.
            raise ValueError("the second part of an entry is the SHA-256 of the token, 64 hex digits, never the token")
        for scope in scopes.split():
            if not SCOPE_NAME.fullmatch(scope):
                raise ValueError(f"{name}: {scope!r} is not a scope")
        try:
            last_day = date.fromisoformat(until) if until else None
        except ValueError:
            raise ValueError(f"{name}: {until!r} is not a date like 2027-12-31") from None
        return cls(name, digest.lower(), frozenset(scopes.split()), last_day)

    def __str__(self) -> str:
        parts = [self.name, self.digest, " ".join(sorted(self.scopes))]
        return "|".join([*parts, self.until.isoformat()] if self.until else parts)

    @property
    def ends_at(self) -> float | None:
        """The last moment of the last day, in seconds since the epoch."""
        return datetime.combine(self.until, time_of_day.max, UTC).timestamp() if self.until else None


def digest(token: str) -> str:
    """The SHA-256 of a token, as BEARER_TOKENS wants it. Raises ValueError for what no client could send."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("a bearer token has only letters, digits and - . _ ~ + / with = at the end (RFC 6750)")
    return hashlib.sha256(token.encode()).hexdigest()


class BearerTokens:
    """The configured static tokens. Every one is compared, in constant time, whichever matches."""

    def __init__(self, tokens: Sequence[BearerToken], now: Clock = time.time) -> None:
        self._tokens = tokens
        self._now = now

    def find(self, token: str) -> Principal | None:
        """The principal of a static token, or None. Raises Refused when its last day has passed."""
        if not self._tokens:
            return None
        presented = hashlib.sha256(token.encode()).hexdigest()
        matches = [entry for entry in self._tokens if hmac.compare_digest(entry.digest, presented)]
        if not matches:
            return None
        entry = matches[0]
        if entry.ends_at is not None and self._now() > entry.ends_at:
            raise Refused(BEARER_ENDED, f"token {entry.name!r} ended {entry.until}", issuer=ISSUER)
        return Principal(
            subject=f"{SUBJECT_PREFIX}{entry.name}",
            client_id=entry.name,
            issuer=ISSUER,
            scopes=entry.scopes,
            expires_at=entry.ends_at,
            can_step_up=False,
        )
