"""Every call to Stytch that the sign-in page makes, through the official SDK.

The SDK is imported by the first call, in a thread: it costs 60 MiB and most of a second. Every call has a time limit.
"""

from __future__ import annotations

import asyncio
import importlib
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.signin.authorization import AuthorizationRequest

CALL_SECONDS = 10.0
CODE_MINUTES = 10
SESSION_MINUTES = 480
CONNECTED_SINCE = "mcp_connected_since"
MOST_SINCE = 20
MOST_NAME = 80
ABOUT_ADDRESS = frozenset({"invalid_email", "inactive_email", "email_in_denylist", "email_not_in_allowlist"})

log = structlog.get_logger("stytch_mcp.signin")


class Down(Exception):
    """Stytch does not answer, or not as it should. Worth trying again."""


class TooMany(Down):
    """Stytch asks for fewer requests (429)."""


class Rejected(Exception):
    """Stytch says no. `kind` is its error_type."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(f"{status} {kind}")
        self.kind = kind

    @property
    def session_is_over(self) -> bool:
        """UNCONFIRMED: Stytch's error types for a session that ended, beyond session_not_found."""
        return "session" in self.kind

    @property
    def is_about_address(self) -> bool:
        """UNCONFIRMED: Stytch's error types for an address that it sends nothing to."""
        return self.kind in ABOUT_ADDRESS


@dataclass(frozen=True)
class User:
    """A person as Stytch knows them. `since`: client ID -> the day on which they allowed it (ISO 8601)."""

    principal: Principal
    address: str
    since: dict[str, str]


@dataclass(frozen=True)
class LoggedIn:
    """The outcome of a log-in."""

    user: User
    session_token: str


@dataclass(frozen=True)
class Asked:
    """What the consent page has to ask. `scopes`: name, Stytch's description, whether it can be granted."""

    user: User
    client_id: str
    client_name: str
    consent_required: bool
    scopes: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Answered:
    """Where Stytch sends the browser, and whether a code goes with it."""

    redirect_uri: str
    has_code: bool


class Stytch:
    """The project at `domain`. Methods raise Down, TooMany or Rejected."""

    def __init__(self, *, domain: str, project_id: str, secret: str) -> None:
        self._domain = domain
        self._credentials = (project_id, secret)
        self._lock = asyncio.Lock()
        self._client: Any = None
        self._http: Any = None
        self._error: type[Exception] = Exception
        self._failures: tuple[type[Exception], ...] = ()

    async def open(self) -> Any:
        """The SDK's client, made and imported by whoever comes first."""
        async with self._lock:
            if self._client is None:
                sdk = await asyncio.to_thread(importlib.import_module, "stytch")
                aiohttp = importlib.import_module("aiohttp")
                self._error = importlib.import_module("stytch.core.response_base").StytchError
                # TypeError: what the SDK makes of JSON that is no object.
                self._failures = (OSError, TimeoutError, ValueError, TypeError, aiohttp.ClientError)
                self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))
                # Only `environment` takes http, which exists on loopback alone.
                secure = self._domain.startswith("https://")
                where = {"custom_base_url": self._domain} if secure else {"environment": f"{self._domain}/"}
                self._client = sdk.Client(*self._credentials, suppress_warnings=True, async_session=self._http, **where)
            return self._client

    async def close(self) -> None:
        """Ends the connections."""
        if self._http is not None:
            await self._http.close()

    async def find(self, address: str) -> str | None:
        """The user with this address, if there is one."""
        query = {"operator": "AND", "operands": [{"filter_name": "email_address", "filter_value": [address]}]}
        found = await self._call(lambda client: client.users.search_async(limit=1, query=query))
        return found.results[0].user_id if found.results else None

    async def send_code(self, address: str) -> str:
        """Mails a code and returns the method ID. Creates the user if there is none."""
        sent = await self._call(
            lambda client: client.otps.email.login_or_create_async(email=address, expiration_minutes=CODE_MINUTES)
        )
        return str(sent.email_id)

    async def send_link(self, address: str, url: str, challenge: str) -> str:
        """Mails a link to `url`, good for whoever has the verifier of `challenge`. Creates the user."""
        sent = await self._call(
            lambda client: client.magic_links.email.login_or_create_async(
                email=address,
                login_magic_link_url=url,
                signup_magic_link_url=url,
                login_expiration_minutes=CODE_MINUTES,
                signup_expiration_minutes=CODE_MINUTES,
                code_challenge=challenge,
            )
        )
        return str(sent.email_id)

    def provider_url(self, provider: str, *, public_token: str, url: str, challenge: str) -> str:
        """Where the log-in with another provider begins; it comes back to `url`."""
        query = {
            "public_token": public_token,
            "login_redirect_url": url,
            "signup_redirect_url": url,
            "code_challenge": challenge,
        }
        return f"{self._domain}/v1/public/oauth/{provider}/start?{urlencode(query)}"

    async def check_code(self, method_id: str, code: str) -> LoggedIn:
        """Logs in with a code."""
        return self._logged_in(
            await self._call(
                lambda client: client.otps.authenticate_async(
                    method_id=method_id, code=code, session_duration_minutes=SESSION_MINUTES
                )
            )
        )

    async def check_token(self, kind: str, token: str, verifier: str) -> LoggedIn:
        """Logs in with the token of a link (`magic_links`) or of a provider (`oauth`)."""
        return self._logged_in(
            await self._call(
                lambda client: getattr(client, kind).authenticate_async(
                    token=token, session_duration_minutes=SESSION_MINUTES, code_verifier=verifier
                )
            )
        )

    async def who(self, session_token: str) -> User:
        """The person of a session."""
        answer = await self._call(lambda client: client.sessions.authenticate_async(session_token=session_token))
        return self._user(answer.user)

    async def log_out(self, session_token: str) -> None:
        """Ends a session."""
        await self._call(lambda client: client.sessions.revoke_async(session_token=session_token))

    async def ask(self, session_token: str, asked: AuthorizationRequest, scopes: Iterable[str]) -> Asked:
        """What there is to decide. Rejected when client, redirect URI or scopes are not right."""
        answer = await self._call(
            lambda client: client.idp.oauth.authorize_start_async(
                session_token=session_token, **_common(asked, scopes, force="consent" in asked.prompts)
            )
        )
        return Asked(
            self._user(answer.user),
            answer.client.client_id,
            shown(answer.client.client_name) or answer.client.client_id,
            answer.consent_required,
            tuple((result.scope, result.description, result.is_grantable) for result in answer.scope_results),
        )

    async def answer(
        self, session_token: str, asked: AuthorizationRequest, scopes: Iterable[str], *, granted: bool, force: bool
    ) -> Answered:
        """Hands in the decision. `force`: as if it had never been taken before."""
        answer = await self._call(
            lambda client: client.idp.oauth.authorize_async(
                session_token=session_token,
                consent_granted=granted,
                state=asked.state,
                nonce=asked.nonce,
                code_challenge=asked.code_challenge,
                resources=list(asked.resources) or None,
                **_common(asked, scopes, force=force),
            )
        )
        return Answered(answer.redirect_uri, bool(answer.authorization_code))

    async def connections(self, user_id: str) -> list[Any]:
        """The applications that a person has allowed."""
        answer = await self._call(lambda client: client.users.connected_apps_async(user_id=user_id))
        return list(answer.connected_apps)

    async def disconnect(self, user_id: str, client_id: str) -> None:
        """Takes back all that an application was allowed."""
        await self._call(lambda client: client.users.revoke_async(user_id=user_id, connected_app_id=client_id))

    async def remember(self, user: User, client_id: str, day: str) -> None:
        """Writes down, in the user's trusted metadata, since when they have allowed an application: Stytch does not."""
        await self._write_down(user, dict([*_without(user, client_id), (client_id, day)][-MOST_SINCE:]))

    async def forget(self, user: User, client_id: str) -> None:
        """Since when counts anew, should they allow it again."""
        await self._write_down(user, dict(_without(user, client_id)))

    async def _write_down(self, user: User, since: dict[str, str]) -> None:
        metadata = {CONNECTED_SINCE: since}
        await self._call(
            lambda client: client.users.update_async(user_id=user.principal.subject, trusted_metadata=metadata)
        )

    async def _call(self, make: Callable[[Any], Awaitable[Any]]) -> Any:
        client = await self.open()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await make(client)
        except self._error as error:
            details = error.details  # type: ignore[attr-defined]
            status, kind = details.status_code, details.error_type
            if status < 500 and status != 429 and kind not in (None, "unauthorized_credentials"):
                raise Rejected(status, kind) from None
            log.warning("stytch", status=status, error_type=kind, stytch_request_id=details.request_id)
            raise (TooMany if status == 429 else Down)(f"{status} {kind}") from None
        except self._failures as error:
            log.warning("stytch", detail=type(error).__name__)
            raise Down(type(error).__name__) from None

    def _logged_in(self, answer: Any) -> LoggedIn:
        return LoggedIn(self._user(answer.user), answer.session_token)

    def _user(self, user: Any) -> User:
        verified = [email.email for email in user.emails if email.verified]
        principal = Principal(user.user_id, "", self._domain, frozenset(), emails=frozenset(verified))
        since = (user.trusted_metadata or {}).get(CONNECTED_SINCE)
        days = since.items() if isinstance(since, dict) else ()
        texts = {name: day for name, day in days if isinstance(day, str)}
        return User(principal, verified[0] if verified else user.user_id, texts)


def _without(user: User, client_id: str) -> list[tuple[str, str]]:
    return [(name, day) for name, day in user.since.items() if name != client_id]


def shown(name: str) -> str:
    """A name that an application chose, in one line of at most 80 characters, without any that only change others."""
    visible = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in name or "")
    line = " ".join(visible.split())
    return line if len(line) <= MOST_NAME else f"{line[: MOST_NAME - 1].rstrip()}…"


def _common(asked: AuthorizationRequest, scopes: Iterable[str], *, force: bool) -> dict[str, Any]:
    return {
        "client_id": asked.client_id,
        "redirect_uri": asked.redirect_uri,
        "response_type": "code",
        "scopes": list(scopes),
        "prompt": "consent" if force else None,
    }
