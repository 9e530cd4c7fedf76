"""Encrypted cookies: each is sealed for its own name, so that none can stand in for another."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request
from starlette.responses import Response

from stytch_mcp.protect.remote import Clock
from stytch_mcp.signin.authorization import AuthorizationRequest

OPEN_SECONDS = 600
MOST_OPEN = 5
SESSION_SECONDS = 8 * 3600

_TRANSACTION, _LOGIN, _SESSION = "signin-t-", "signin-l-", "signin-s"


class Sealer:
    """Seals what only this server may read: the first secret seals, all of them open (SIGNIN_SECRET)."""

    def __init__(self, secret_values: Sequence[str], now: Clock) -> None:
        self._secrets = [value.encode() for value in secret_values] or [secrets.token_bytes(32)]
        self._now = now

    def seal(self, name: str, payload: dict[str, Any]) -> str:
        """A value for the cookie of that name."""
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return self._box(name).encrypt_at_time(text, int(self._now())).decode().rstrip("=")

    def open(self, name: str, value: str, seconds: int) -> tuple[dict[str, Any], int] | None:
        """What was sealed, and when (seconds since the epoch); None for anything else or anything older."""
        token = value + "=" * (-len(value) % 4)
        try:
            text = self._box(name).decrypt_at_time(token, seconds, int(self._now()))
            sealed_at = int.from_bytes(base64.urlsafe_b64decode(token)[1:9], "big")
        except (InvalidToken, ValueError):
            return None
        payload: dict[str, Any] = json.loads(text)
        return payload, sealed_at

    def _box(self, name: str) -> MultiFernet:
        # The number changes with the form of what is sealed.
        keys = (HKDF(SHA256(), 32, salt=None, info=f"1 {name}".encode()).derive(secret) for secret in self._secrets)
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


@dataclass(frozen=True)
class Transaction:
    """One authorization request in one tab; without one it is a log-in for its own sake. `csrf` goes into its forms."""

    id: str
    csrf: str
    opened_at: int
    request: AuthorizationRequest | None


@dataclass(frozen=True)
class Login:
    """A log-in that has begun: what was sent where. `sent_at` in seconds since the epoch."""

    kind: str
    address: str
    method_id: str
    verifier: str
    sent_at: float


@dataclass(frozen=True)
class Session:
    """Who is logged in, by Stytch's session token. `csrf` goes into forms that belong to no transaction."""

    token: str
    user_id: str
    address: str
    csrf: str
    since: float


class Jar:
    """The cookies of one request, and what its answer changes in them.

    Over https they are `__Host-` cookies: no other host and no other path can set them.
    """

    def __init__(self, request: Request, sealer: Sealer, *, secure: bool) -> None:
        self._cookies = request.cookies
        self._sealer = sealer
        self._secure = secure
        self._prefix = "__Host-" if secure else ""
        self._changes: dict[str, tuple[str, int | None]] = {}

    def open_transaction(self, request: AuthorizationRequest | None) -> Transaction:
        """A new one. The oldest of those that are open goes when there are too many."""
        known = self._transactions()
        for old in known[: max(0, len(known) - MOST_OPEN + 1)]:
            self.close(old.id)
        transaction = Transaction(secrets.token_urlsafe(12), secrets.token_urlsafe(16), 0, request)
        asked = None if request is None else request.dump()
        self._set(_TRANSACTION + transaction.id, {"c": transaction.csrf, "r": asked}, OPEN_SECONDS)
        return transaction

    def transaction(self, id: str) -> Transaction | None:  # noqa: A002
        """An open one."""
        found = self._get(_TRANSACTION + id, OPEN_SECONDS)
        if found is None:
            return None
        asked = found[0]["r"]
        request = None if asked is None else AuthorizationRequest.load(asked)
        return Transaction(id, found[0]["c"], found[1], request)

    def close(self, id: str) -> None:  # noqa: A002
        """Forget a transaction and its log-in."""
        self._drop(_TRANSACTION + id)
        self._drop(_LOGIN + id)

    def login(self, transaction_id: str) -> Login | None:
        """The log-in that has begun in a transaction."""
        found = self._get(_LOGIN + transaction_id, OPEN_SECONDS)
        return None if found is None else Login(**found[0])

    def set_login(self, transaction_id: str, login: Login | None) -> None:
        """Begin a log-in, or forget it."""
        if login is None:
            self._drop(_LOGIN + transaction_id)
        else:
            self._set(_LOGIN + transaction_id, vars(login), OPEN_SECONDS)

    def logins(self) -> list[tuple[Transaction, Login]]:
        """All that have begun in open transactions, newest first."""
        begun = [(transaction, self.login(transaction.id)) for transaction in self._transactions()]
        known = [(transaction, login) for transaction, login in begun if login is not None]
        return sorted(known, key=lambda pair: pair[1].sent_at, reverse=True)

    @property
    def session(self) -> Session | None:
        """Who is logged in; whether Stytch still says so, only Stytch knows."""
        found = self._get(_SESSION, SESSION_SECONDS)
        return None if found is None else Session(**found[0])

    def set_session(self, session: Session | None) -> None:
        """Log in, or out. The cookie ends with the browser."""
        if session is None:
            self._drop(_SESSION)
        else:
            self._set(_SESSION, vars(session), None)

    def apply(self, response: Response) -> None:
        """Writes the changes into an answer."""
        for name, (value, seconds) in self._changes.items():
            response.set_cookie(
                self._prefix + name,
                value,
                max_age=seconds,
                path="/",
                secure=self._secure,
                httponly=True,
                samesite="lax",
            )

    def _transactions(self) -> list[Transaction]:
        start = self._prefix + _TRANSACTION
        ids = [name.removeprefix(start) for name in self._cookies if name.startswith(start)]
        known = [transaction for transaction in map(self.transaction, ids) if transaction is not None]
        return sorted(known, key=lambda transaction: transaction.opened_at)

    def _get(self, name: str, seconds: int) -> tuple[dict[str, Any], int] | None:
        value = self._cookies.get(self._prefix + name)
        return None if value is None else self._sealer.open(name, value, seconds)

    def _set(self, name: str, payload: dict[str, Any], seconds: int | None) -> None:
        self._changes[name] = (self._sealer.seal(name, payload), seconds)

    def _drop(self, name: str) -> None:
        if self._prefix + name in self._cookies:
            self._changes[name] = ("", 0)
