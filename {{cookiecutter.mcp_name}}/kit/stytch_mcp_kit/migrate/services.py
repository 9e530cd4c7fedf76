"""The two user APIs, asked at a rate, and again when they do not answer."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import httpx
import stamina
from aiolimiter import AsyncLimiter

from stytch_mcp.protect.subjects import BearerAuth

Item = TypeVar("Item")

WORKERS = 8
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 8
LONGEST_WAIT_SECONDS = 30.0
USER_AGENT = "stytch-mcp-kit migrate"


class ServiceError(Exception):
    """A service did not answer, or refused what is not about one user. The words are for the person at the command."""


def worth_another_try(error: Exception) -> bool | float:
    """Whether to ask again, or after how many seconds at least."""
    if isinstance(error, httpx.HTTPStatusError):
        wait = error.response.headers.get("retry-after", "")
        return min(float(wait), LONGEST_WAIT_SECONDS) if wait.isdecimal() and int(wait) else True
    return isinstance(error, httpx.TransportError)


@dataclass
class Service:
    """One of the APIs. `rate`: requests per second at most, all workers together."""

    name: str
    http: httpx.AsyncClient
    limiter: AsyncLimiter

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, whatever its status but 429 and 5xx. Raises ServiceError when there is none."""
        try:
            async for attempt in stamina.retry_context(
                on=worth_another_try, attempts=ATTEMPTS, timeout=None, wait_max=LONGEST_WAIT_SECONDS
            ):
                with attempt:
                    async with self.limiter:
                        response = await self.http.request(method, path, **request)
                    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
                        response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise ServiceError(f"{self.name} answers {error.response.status_code} again and again.") from None
        except httpx.HTTPError as error:
            raise ServiceError(f"{self.name} cannot be reached: {type(error).__name__}.") from None
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ServiceError(f"{self.name} does not accept the credentials ({response.status_code}).")
        return response


@contextlib.asynccontextmanager
async def service(
    name: str, url: str, auth: httpx.Auth, rate: float, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Service]:
    """Opens the connections. Redirects are not followed: credentials go nowhere else."""
    headers = {"User-Agent": USER_AGENT}
    async with httpx.AsyncClient(
        base_url=url, auth=auth, headers=headers, timeout=TIMEOUT_SECONDS, transport=transport
    ) as http:
        yield Service(name, http, AsyncLimiter(max(rate, 1), max(1 / rate, 1)))


async def some_at_a_time(items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
    """Does the work for each, in no order. After a ServiceError nothing new begins; the first of them is raised."""
    waiting, errors = iter(items), list[ServiceError]()

    async def worker() -> None:
        for item in waiting:
            if errors:
                return
            try:
                await work(item)
            except ServiceError as error:
                errors.append(error)

    async with anyio.create_task_group() as workers:
        for _ in range(WORKERS):
            workers.start_soon(worker)
    if errors:
        raise errors[0]


def document(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; anything else reads as an empty one."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def all_objects(items: list[Any]) -> bool:
    return all(isinstance(item, dict) for item in items)


class Stytch:
    """The users of a consumer project."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, cursor: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None, int]:
        """Users from `cursor` on, the next cursor, and how many there are in all. Raises ServiceError."""
        body = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        response = await self._service.ask("POST", "/v1/users/search", json=body)
        found = document(response)
        users, metadata = found.get("results"), found.get("results_metadata")
        if response.status_code != httpx.codes.OK or not isinstance(users, list) or not isinstance(metadata, dict):
            kind = str(found.get("error_type", f"status {response.status_code}"))[:80]
            raise ServiceError(f"Stytch refuses the search for users: {kind}. Members of B2B projects are not moved.")
        if not all_objects(users) or not all(isinstance(user.get("user_id"), str) for user in users):
            raise ServiceError("Stytch gives users without a user_id.")
        return users, metadata.get("next_cursor") or None, int(metadata.get("total") or 0)


class Workos:
    """The users of an environment."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def by_external_id(self, external_id: str) -> dict[str, Any] | None:
        return await self._one(f"/user_management/users/external_id/{quote(external_id, safe='')}")

    async def by_email(self, email: str) -> dict[str, Any] | None:
        response = await self._service.ask("GET", "/user_management/users", params={"email": email})
        users = document(response).get("data")
        if response.status_code != httpx.codes.OK or not isinstance(users, list) or not all_objects(users):
            raise ServiceError(f"WorkOS refuses the search for a user ({response.status_code}).")
        return next((user for user in users if str(user.get("email", "")).lower() == email.lower()), None)

    async def create(self, user: dict[str, Any]) -> str | None:
        """Makes a user. Returns why that was refused, in codes, or None."""
        return refusal(await self._service.ask("POST", "/user_management/users", json=user))

    async def set_external_id(self, user_id: str, external_id: str) -> str | None:
        """Says who a user was at Stytch. Returns why that was refused, in codes, or None."""
        path = f"/user_management/users/{quote(user_id, safe='')}"
        return refusal(await self._service.ask("PUT", path, json={"external_id": external_id}))

    async def jwt_template(self) -> str:
        """The template of the environment, empty where there is none."""
        found = await self._one("/user_management/jwt_template")
        return str((found or {}).get("content") or "")

    async def _one(self, path: str) -> dict[str, Any] | None:
        response = await self._service.ask("GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise ServiceError(f"WorkOS refuses to say who is who ({response.status_code}).")
        return document(response)


def refusal(response: httpx.Response) -> str | None:
    """The codes of a refusal; never its words, which may repeat what was sent."""
    if response.is_success:
        return None
    body = document(response)
    errors = body.get("errors")
    named = [each.get("code") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    codes = [code for code in (body.get("code"), *named) if isinstance(code, str)]
    return ", ".join(code[:80] for code in codes) or f"status {response.status_code}"


def stytch_credentials(project_id: str, secret: str) -> httpx.Auth:
    return httpx.BasicAuth(project_id, secret)


def workos_credentials(api_key: str) -> httpx.Auth:
    return BearerAuth(api_key)
