"""The move to WorkOS from beginning to end, with real MCP clients connected all along, and back from every stage.

Two hundred and twelve people, two hundred of whom move; the server is restarted on its port for each stage, and the
commands are typed as a person would. Each client is one connection of the official SDK that is never opened again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client.client import Client
from starlette.applications import Starlette

from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.authkit import create_app as create_authkit
from stytch_mcp_kit.local.config import PROJECT_ID, SECRET
from stytch_mcp_kit.local.workos import API_KEY, AuthKitConfig
from stytch_mcp_kit.migrate.export import export
from stytch_mcp_kit.migrate.imports import Import
from stytch_mcp_kit.migrate.people import read, sort_out
from stytch_mcp_kit.migrate.services import Stytch, Workos, service, stytch_credentials, workos_credentials
from tests.migrate.conftest import ALL, FAST, KEY, MOVED, address, lines, nothing, populate
from tests.sdk_client import Memory, Mode, connect, http_client
from tests.servers import ROOT, free_port, owners_server, package, stand_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

SCOPES = {"notes:read": "Read notes", "notes:write": "Write notes"}


@dataclass
class Connected:
    """A client of one person, connected since it was made."""

    email: str
    client: Client
    memory: Memory
    principals: list[str] = field(default_factory=list)

    async def call(self) -> dict[str, Any]:
        """Asks the server who is calling; that must be the same principal for ever."""
        answer = (await self.client.call_tool("whoami")).structured_content
        assert answer is not None
        self.principals.append(answer["subject"])
        assert len(set(self.principals)) == 1, f"{self.email} became somebody else"
        return dict(answer)

    @property
    def registered_at(self) -> str | None:
        assert self.memory.client_info is not None
        return self.memory.client_info.issuer


@dataclass
class Rehearsal:
    """Both authorization servers, the server between them, and a log as its audit log would be."""

    stytch: Starlette
    authkit: Starlette
    issuer: str
    domain: str
    port: int
    folder: Path
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def mcp_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "STYTCH_DOMAIN": self.issuer,
            "STYTCH_PROJECT_ID": PROJECT_ID,
            "STYTCH_SECRET": SECRET,
            "WORKOS_DOMAIN": self.domain,
            "WORKOS_API_KEY": API_KEY,
            "WORKOS_DEFAULT_SCOPES": "notes:write",
            "ALLOWED_EMAIL_DOMAINS": "example.com",
        }

    def server(self, auth_issuers: str) -> Any:
        """The server of a stage."""
        return owners_server(self.port, AUTH_ISSUERS=auth_issuers, **self.settings)

    def log_ins(self, app: Starlette) -> int:
        paths = ("/_test/authorize", "/oauth2/authorize")
        return sum(entry["path"] in paths for entry in app.state.project.requests)

    async def call(self, *clients: Connected, issuer: str) -> None:
        """Everybody calls a tool, with a token of this issuer."""
        for connected in clients:
            answer = await connected.call()
            assert answer["issuer"] == issuer
            moment = datetime.now(UTC).isoformat()
            entry = {name: answer[name] for name in ("subject", "issuer", "client_id")}
            self.calls.append({"audit": "tool_call", "time": moment, **entry})

    def migrate(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        """A command, as a person types it; what it prints."""
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "kit"), str(ROOT)])
        given = {**self.settings, "PUBLIC_URL": self.mcp_url.removesuffix("/mcp"), "AUTH_ISSUERS": "stytch,workos"}
        given |= {"UPSTREAM_URL": "http://127.0.0.1:9", "UPSTREAM_TOKEN": "of-the-tests", "COLUMNS": "200"}
        ran = subprocess.run(
            [sys.executable, "-m", package(), "migrate", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, **given},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == code, said
        assert "Traceback" not in said
        assert SECRET not in said
        assert API_KEY not in said
        return said

    def not_moved_yet(self) -> set[str]:
        text = "".join(json.dumps(call) + "\n" for call in self.calls)
        return set(self.migrate("report", "-", "--ids", stdin=text).splitlines())


@pytest.fixture(params=[False, True], ids=["no scope in AuthKit's tokens", "scope in AuthKit's tokens"])
def rehearsal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rehearsal]:
    stytch_port, authkit_port, port = free_port(), free_port(), free_port()
    issuer, domain = f"http://127.0.0.1:{stytch_port}", f"http://127.0.0.1:{authkit_port}"
    stytch = create_app(Config(issuer, f"{issuer}/_test/authorize", SCOPES, signing_key=KEY))
    authkit = create_authkit(AuthKitConfig(domain, resources=(f"http://127.0.0.1:{port}/mcp",), signing_key=KEY))
    authkit.state.project.settings.scope_claim = request.param
    with stand_in(stytch, stytch_port), stand_in(authkit, authkit_port):
        yield Rehearsal(stytch, authkit, issuer, domain, port, tmp_path)


@asynccontextmanager
async def connected(rehearsal: Rehearsal, email: str, mode: Mode) -> AsyncIterator[Connected]:
    memory = Memory()
    async with (
        http_client(rehearsal.mcp_url, memory, email=email) as http,
        connect(rehearsal.mcp_url, http, mode) as client,
    ):
        yield Connected(email, client, memory)


async def move_everybody(rehearsal: Rehearsal, twins: list[str]) -> None:
    """What the commands do."""
    path = rehearsal.folder / "users"
    stytch_key, workos_key = stytch_credentials(PROJECT_ID, SECRET), workos_credentials(API_KEY)
    async with service("Stytch", rehearsal.issuer, stytch_key, FAST) as asked:
        await export(Stytch(asked), path, nothing)
    people, _ = sort_out(read(path), twins)
    async with service("WorkOS", rehearsal.domain, workos_key, FAST) as asked:
        outcome = await Import(Workos(asked)).run(people, nothing)
    assert (outcome.not_moved, len(rehearsal.authkit.state.project.users)) == ([], MOVED)


def move_by_commands(rehearsal: Rehearsal, twins: list[str]) -> None:
    """The commands, the import interrupted once."""
    stytch, authkit = rehearsal.stytch.state.project, rehearsal.authkit.state.project
    rehearsal.migrate("export-users", "users")
    assert len(lines(rehearsal.folder / "users")) == ALL
    assert "is there and complete" in rehearsal.migrate("export-users", "users", code=1)

    leave_out = [word for twin in twins for word in ("--leave-out", twin)]
    fast = ["--rate", "1000"]
    said = rehearsal.migrate("import-users", "users", "--dry-run", *leave_out, *fast, code=1)
    assert f"to create  {MOVED}" in said
    assert not authkit.users
    # After so many uses WorkOS does not know the key any more, which ends the run at once.
    authkit.config = _with_key(authkit.config, API_KEY, good_for=300)
    said = rehearsal.migrate("import-users", "users", *leave_out, *fast, code=1)
    assert "run the same command to go on" in said
    assert 0 < len(authkit.users) < MOVED
    authkit.config = _with_key(authkit.config, API_KEY, good_for=None)
    assert "not at WorkOS" in rehearsal.migrate("verify", "users", *leave_out, *fast, code=1)
    rehearsal.migrate("import-users", "users", *leave_out, *fast, code=1)

    behind = {line["user_id"]: line["reason"] for line in lines(rehearsal.folder / "users.not-moved")}
    at_workos = {user.external_id for user in authkit.users.values()}
    assert len(authkit.users) == len(at_workos) == MOVED, "nobody is there twice"
    assert at_workos | behind.keys() == stytch.users.keys(), "nobody is lost"
    assert all(behind.values()), "and of everybody who stays it is known why"
    for user in authkit.users.values():
        assert address(user) in [email.address for email in stytch.users[user.external_id].emails]
    said = rehearsal.migrate("verify", "users", *leave_out, *fast)
    assert f"{MOVED} of {MOVED} are the same principal under both; {ALL - MOVED} do not move." in said


def _with_key(config: AuthKitConfig, key: str, good_for: int | None) -> AuthKitConfig:
    """The environment, whose key counts for so many uses."""

    class Wearing(str):  # noqa: SLOT000 - it has state
        left = good_for

        def encode(self, *arguments: Any) -> bytes:
            if self.left is not None:
                self.left -= 1
            return b"" if self.left is not None and self.left < 0 else super().encode()

    return replace(config, api_key=Wearing(key))


def compare_tokens(rehearsal: Rehearsal, email: str) -> None:
    """`verify --tokens`, with a token of each issuer."""
    tokens = [minted(where, email) for where in (rehearsal.issuer, rehearsal.domain)]
    said = rehearsal.migrate("verify", "--tokens", stdin="\n".join(tokens))
    assert "The same principal under both." in said
    assert not any(token in said for token in tokens)
    other = minted(rehearsal.domain, "user99@example.com")
    rehearsal.migrate("verify", "--tokens", stdin=f"{tokens[0]}\n{other}", code=1)


def minted(where: str, email: str) -> str:
    """A token of a person, from either issuer."""
    answer = httpx.post(f"{where}/_test/mint", json={"email": email}, trust_env=False)
    return str(answer.json()["token"])


def at_stytch(rehearsal: Rehearsal, email: str) -> str:
    """Who a person is there: the principal they have to keep."""
    (found,) = rehearsal.stytch.state.project.users_by_email(email)
    return str(found.user_id)


async def test_a_person_logs_in_at_each_issuer_to_compare(rehearsal: Rehearsal) -> None:
    """`verify --login`, before the server is restarted for anything. The stand-ins ask nobody."""
    stytch, authkit = rehearsal.stytch.state.project, rehearsal.authkit.state.project
    await move_everybody(rehearsal, populate(stytch))
    stytch.settings.auto_login = authkit.settings.auto_login = "user3@example.com"
    said = rehearsal.migrate("verify", "--login")
    assert said.count(at_stytch(rehearsal, "user3@example.com")) == 2
    assert "The same principal under both." in said
    assert (rehearsal.log_ins(rehearsal.stytch), rehearsal.log_ins(rehearsal.authkit)) == (1, 1)
    authkit.settings.auto_login = "user4@example.com"
    assert "Not the same principal under both." in rehearsal.migrate("verify", "--login", code=1)
    authkit.settings.dcr_enabled = False
    assert "has no registration_endpoint" in rehearsal.migrate("verify", "--login", code=1)


async def test_everybody_moves_and_nobody_notices_but_by_one_log_in(rehearsal: Rehearsal) -> None:
    stytch, authkit = rehearsal.stytch, rehearsal.authkit
    twins = populate(stytch.state.project)
    async with AsyncExitStack() as connections:

        async def join(email: str, mode: Mode = "auto") -> Connected:
            return await connections.enter_async_context(connected(rehearsal, email, mode))

        # 0. Stytch alone.
        with rehearsal.server("stytch"):
            early = [await join("user3@example.com"), await join("user4@example.com", "legacy")]
            await rehearsal.call(*early, issuer=rehearsal.issuer)
            if authkit.state.project.settings.scope_claim:
                await move_everybody(rehearsal, twins)
            else:
                move_by_commands(rehearsal, twins)
                compare_tokens(rehearsal, "user3@example.com")

        # 1. Both are accepted, Stytch is advertised; and back; and there again.
        for stage in ("stytch,workos", "stytch", "stytch,workos"):
            with rehearsal.server(stage):
                await rehearsal.call(*early, issuer=rehearsal.issuer)
        assert (rehearsal.log_ins(stytch), rehearsal.log_ins(authkit)) == (2, 0), "nobody noticed"

        # 2. WorkOS is advertised first: who is connected goes on with Stytch, who comes anew logs in at AuthKit.
        with rehearsal.server("workos,stytch"):
            await rehearsal.call(*early, issuer=rehearsal.issuer)
            late = [await join("user5@example.com"), await join("user6@example.com", "legacy")]
            await rehearsal.call(*late, issuer=rehearsal.domain)
            assert [each.principals[0] for each in late] == [at_stytch(rehearsal, each.email) for each in late]
            assert {tool.name for tool in (await late[0].client.list_tools()).tools} >= {"whoami", "add_note"}
        assert (rehearsal.log_ins(stytch), rehearsal.log_ins(authkit)) == (2, 2)

        # Back from there: tokens of both go on.
        with rehearsal.server("stytch,workos"):
            await rehearsal.call(*early, issuer=rehearsal.issuer)
            await rehearsal.call(*late, issuer=rehearsal.domain)
        assert (rehearsal.log_ins(stytch), rehearsal.log_ins(authkit)) == (2, 2)

        # 3. The drain: whoever is refused finds the new issuer, registers there and goes on, on the same connection.
        with rehearsal.server("workos,stytch"):
            assert rehearsal.not_moved_yet() == {each.principals[0] for each in early}
            expire(early[0])
            await rehearsal.call(early[0], issuer=rehearsal.domain)
            assert early[0].registered_at == rehearsal.domain
            await rehearsal.call(early[1], issuer=rehearsal.issuer)
            assert rehearsal.not_moved_yet() == {early[1].principals[0]}

        # 4. Stytch is refused, which is what moves the last ones.
        with rehearsal.server("workos"):
            await rehearsal.call(*early, *late, issuer=rehearsal.domain)
            assert rehearsal.not_moved_yet() == set()
            refused = minted(rehearsal.issuer, "user3@example.com")
            assert await status(rehearsal, refused) == 401
        assert (rehearsal.log_ins(stytch), rehearsal.log_ins(authkit)) == (2, 4), "once each, and not more"

        # Back from there, first to both and then to Stytch alone: the same people still.
        with rehearsal.server("stytch,workos"):
            await rehearsal.call(*early, *late, issuer=rehearsal.domain)
            assert await status(rehearsal, refused) == 200
        with rehearsal.server("stytch"):
            await rehearsal.call(*early, *late, issuer=rehearsal.issuer)
        assert (rehearsal.log_ins(stytch), rehearsal.log_ins(authkit)) == (6, 4)


def expire(one: Connected) -> None:
    """What the client holds is worth nothing any more, as after a long absence."""
    assert one.memory.tokens is not None
    one.memory.tokens.access_token = "expired"
    one.memory.tokens.refresh_token = None


async def status(rehearsal: Rehearsal, token: str) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(rehearsal.mcp_url, json=body, headers=headers)).status_code
