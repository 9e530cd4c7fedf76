"""The sign-in page with a Stytch that answers at once, and browsers in every state of a log-in."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.signin import routes
from stytch_mcp.signin.authorization import AuthorizationRequest
from stytch_mcp.signin.cookies import Sealer
from stytch_mcp.signin.stytch import Answered, Asked, LoggedIn, Rejected, Stytch, User
from tests.fake_issuer import CLIENT_ID, DOMAIN, USER_ID
from tests.fuzz.server import PUBLIC_URL, SIGNIN_SECRET, issuer

TX, CSRF, CODE = "transaction-1", "secret-of-the-form", "123456"
SESSION_TOKEN = "canary-of-the-session"
REDIRECT = "https://claude.ai/api/mcp/auth_callback"
QUERY = {
    b"client_id": CLIENT_ID.encode(),
    b"redirect_uri": REDIRECT.encode(),
    b"response_type": b"code",
    b"scope": b"notes:read offline_access",
    b"state": b"the-state",
    b"nonce": b"the-nonce",
    b"prompt": b"consent",
    b"code_challenge": b"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    b"code_challenge_method": b"S256",
    b"resource": PUBLIC_URL.encode() + b"/mcp",
}
ADA = User(
    Principal(USER_ID, "", DOMAIN, frozenset(), emails=frozenset({"ada@example.com"})), "ada@example.com", {"a": "1"}
)


class InstantStytch(Stytch):
    """Knows Ada and one code; takes what it is given for what it asks back."""

    async def open(self) -> Any:
        return None

    async def find(self, address: str) -> str | None:
        return USER_ID if address.startswith("ada") else None

    async def send_code(self, address: str) -> str:
        return f"email-live-{len(address)}"

    async def send_link(self, address: str, url: str, challenge: str) -> str:
        return f"email-live-{len(address + url + challenge)}"

    async def check_code(self, method_id: str, code: str) -> LoggedIn:
        if code != CODE:
            raise Rejected(401, "otp_code_not_found")
        return LoggedIn(ADA, SESSION_TOKEN)

    async def check_token(self, kind: str, token: str, verifier: str) -> LoggedIn:
        if not token.startswith("good"):
            raise Rejected(401, f"{kind}_not_found")
        return LoggedIn(ADA, SESSION_TOKEN)

    async def who(self, session_token: str) -> User:
        if session_token != SESSION_TOKEN:
            raise Rejected(404, "session_not_found")
        return ADA

    async def log_out(self, session_token: str) -> None:
        return

    async def ask(self, session_token: str, asked: AuthorizationRequest, scopes: Iterable[str]) -> Asked:
        if asked.client_id != CLIENT_ID:
            raise Rejected(404, asked.client_id)
        listed = tuple((name, name, index % 2 == 0) for index, name in enumerate(scopes))
        return Asked(ADA, asked.client_id, asked.state or "Claude", "consent" in asked.prompts, listed)

    async def answer(
        self, session_token: str, asked: AuthorizationRequest, scopes: Iterable[str], *, granted: bool, force: bool
    ) -> Answered:
        return Answered(f"{asked.redirect_uri}?state={asked.state}&code=1", granted or not force)

    async def connections(self, user_id: str) -> list[Any]:
        return [SimpleNamespace(connected_app_id=CLIENT_ID, name="Claude", scopes_granted="notes:read openid")]

    async def disconnect(self, user_id: str, client_id: str) -> None:
        return

    async def remember(self, user: User, client_id: str, day: str) -> None:
        return

    async def forget(self, user: User, client_id: str) -> None:
        return


def installed() -> AbstractContextManager[Any]:
    """As long as it is open, pages are made with it."""
    return mock.patch.object(routes, "Stytch", InstantStytch)


def cookies() -> dict[bytes, bytes]:
    """The values that a browser in the middle of a log-in has, by the names that stand for them in inputs."""
    sealer = Sealer([SIGNIN_SECRET], issuer().now)
    request = AuthorizationRequest(
        CLIENT_ID, REDIRECT, ("notes:read", "openid"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "s", "n", (), ()
    )
    now = issuer().now()
    login = {"address": "ada@example.com", "method_id": "email-live-1", "verifier": "v" * 43, "sent_at": now}
    session = {"token": SESSION_TOKEN, "user_id": USER_ID, "address": "ada@example.com", "csrf": CSRF, "since": now}
    made: dict[str, tuple[str, dict[str, Any]]] = {
        "$OPEN": (f"signin-t-{TX}", {"c": CSRF, "r": request.dump()}),
        "$ALONE": (f"signin-t-{TX}", {"c": CSRF, "r": None}),
        "$MAILED": (f"signin-l-{TX}", {"kind": "email-code", **login}),
        "$LINKED": (f"signin-l-{TX}", {"kind": "email-link", **login}),
        "$GOOGLE": (f"signin-l-{TX}", {"kind": "google", **login}),
        "$SESSION": ("signin-s", session),
    }
    return {
        word.encode(): f"__Host-{name}={sealer.seal(name, payload)}".encode() for word, (name, payload) in made.items()
    }
