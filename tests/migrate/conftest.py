"""Both user APIs in this process, and two hundred people with everything that gets in the way of a move."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette

from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.authkit import create_app as create_authkit
from stytch_mcp_kit.local.config import PROJECT_ID, SECRET, Seed
from stytch_mcp_kit.local.keys import new_private_key
from stytch_mcp_kit.local.state import Email, Project, User
from stytch_mcp_kit.local.users import new_user
from stytch_mcp_kit.local.workos import API_KEY, AuthKitConfig, Environment
from stytch_mcp_kit.migrate.services import Service, Stytch, Workos, service, stytch_credentials, workos_credentials

MOVED, LEFT_OUT, WITHOUT_ADDRESS, UNVERIFIED = 200, 3, 6, 3
ALL = MOVED + LEFT_OUT + WITHOUT_ADDRESS + UNVERIFIED
FAST = 100_000.0
KEY = new_private_key()


def populate(project: Project) -> list[str]:
    """Fills a Stytch project. Returns who has to be left out so that no two claim one address."""
    project.users.clear()
    for number in range(MOVED):
        name = {"first_name": f"Given {number}", "last_name": 'Büro, "O\'Neil"'}
        user = project.add_user(Seed(f"User{number}@example.com", name=name))
        if number % 10 == 0:
            user.emails.append(Email(f"second{number}@example.com", verified=True))
        if number % 10 == 1:  # an address that was never verified stands before the one that was
            user.emails.insert(0, Email(f"typo{number}@example.com", verified=False))
    twins = [project.add_user(Seed(f"user{number}@EXAMPLE.com")).user_id for number in range(LEFT_OUT)]
    for _ in range(WITHOUT_ADDRESS):
        new_user(project, None)
    for number in range(UNVERIFIED):
        project.add_user(Seed(f"unverified{number}@example.com", verified=False))
    assert len(project.users) == ALL
    return twins


@dataclass
class Answering(httpx.AsyncBaseTransport):
    """Requests to an application in this process; `meddle` may raise, before or after the application saw one."""

    app: Starlette
    meddle: Callable[[httpx.Request, httpx.Response | None], None] = lambda _request, _response: None
    seen: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await checkpoint()  # as a network would, so that workers take turns
        self.seen.append(request)
        self.meddle(request, None)
        response = await httpx.ASGITransport(self.app).handle_async_request(request)
        self.meddle(request, response)
        return response


@dataclass
class Move:
    """Where people are and where they go."""

    stytch: Stytch
    workos: Workos
    project: Project
    environment: Environment
    at_stytch: Answering
    at_workos: Answering
    twins: list[str]

    @property
    def principals(self) -> dict[str, str]:
        """Who everybody at WorkOS is: principal -> address."""
        users = list(self.environment.users.values())
        found = {str(user.external_id): address(user) for user in users}
        assert len(found) == len(users), "nobody is there twice"
        return found


def address(user: User) -> str:
    assert user.email is not None
    return user.email.address


@pytest.fixture(autouse=True)
def no_waiting() -> Any:
    """Retries come at once, and there are three of them."""
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
async def move(anyio_backend: str) -> AsyncIterator[Move]:
    stytch_app = create_app(Config("http://stytch.test", controls="off", signing_key=KEY))
    authkit_app = create_authkit(AuthKitConfig("http://authkit.test", controls="off", signing_key=KEY))
    authkit_app.state.project.settings.writes = 10**6
    twins = populate(stytch_app.state.project)
    at_stytch, at_workos = Answering(stytch_app), Answering(authkit_app)

    def api(name: str, auth: httpx.Auth, transport: Answering) -> Any:
        return service(name, "http://api.test", auth, FAST, transport)

    stytch: Service
    workos: Service
    async with (
        api("Stytch", stytch_credentials(PROJECT_ID, SECRET), at_stytch) as stytch,
        api("WorkOS", workos_credentials(API_KEY), at_workos) as workos,
    ):
        yield Move(
            Stytch(stytch),
            Workos(workos),
            stytch_app.state.project,
            authkit_app.state.project,
            at_stytch,
            at_workos,
            twins,
        )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def nothing(*_: object) -> None:
    """Progress that nobody watches."""
