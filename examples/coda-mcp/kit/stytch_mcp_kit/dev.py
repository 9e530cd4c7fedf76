"""`dev`: the server, the local Stytch and the owner's upstream stand-in, together on loopback."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import click
import httpx
import uvicorn
from starlette.applications import Starlette

from stytch_mcp_kit.local import Config, authkit, create_app
from stytch_mcp_kit.local.config import DEFAULT_USERS, FIXED_CODE, PROJECT_ID, PUBLIC_TOKEN, SECRET, Seed
from stytch_mcp_kit.local.state import Project
from stytch_mcp_kit.local.workos import API_KEY, AuthKitConfig
from stytch_mcp_kit.ports import HOST, Reservation, reserve

if TYPE_CHECKING:
    from stytch_mcp.app import ServerDefinition

STYTCH, UPSTREAM, AUTHKIT = "local Stytch", "upstream stand-in", "local AuthKit"
UPSTREAM_TOKEN = "local-upstream-token"
READY_SECONDS = 60.0
POLL_SECONDS = 0.05
STOP_SECONDS = 10.0
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
STDERR = 2


def run(server: "ServerDefinition", package: str, port: int, auto_approve: bool, as_json: bool) -> None:
    """Start everything, say when it is ready, and block until Ctrl-C or SIGTERM ends it all.

    `port`: the server's; local Stytch, the upstream and, with `workos` in AUTH_ISSUERS, AuthKit take the next ones.
    0: any free ones.
    Raises `click.ClickException` when a port is taken or a part stops by itself.
    """
    root = project_root(package)
    upstream = (root / "local" / "app.py").is_file()
    workos = "workos" in map(str.strip, os.environ.get("AUTH_ISSUERS", "").split(","))
    ports = reserve(port, [server.name, STYTCH, UPSTREAM if upstream else None, AUTHKIT if workos else None])
    plan = Plan(server, package, root, ports, auto_approve, as_json)
    try:
        problem = anyio.run(serve, plan)
    finally:
        for reservation in ports.values():
            reservation.close()
    if problem:
        raise click.ClickException(problem)


def project_root(package: str) -> Path:
    """The directory that holds `src/<package>`."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise click.ClickException(f"The package {package} cannot be imported.")
    return Path(spec.origin).resolve().parents[2]


@dataclass
class Plan:
    """What is started where."""

    server: "ServerDefinition"
    package: str
    root: Path
    ports: dict[str, Reservation]
    auto_approve: bool
    as_json: bool

    def url(self, part: str) -> str:
        return f"http://{HOST}:{self.ports[part].port}"

    @property
    def public_url(self) -> str:
        return self.url(self.server.name)

    @property
    def issuer(self) -> str:
        return self.url(STYTCH)

    @property
    def upstream(self) -> str | None:
        return self.url(UPSTREAM) if UPSTREAM in self.ports else None

    def stytch(self) -> Config:
        page = f"{self.issuer}/_test/authorize" if self.auto_approve else f"{self.public_url}/oauth/authorize"
        return Config(
            domain=self.issuer,
            authorization_url=page,
            scopes={scope.name: scope.description for scope in self.server.scopes},
        )

    def authkit(self, stytch: Project) -> AuthKitConfig:
        """As it is once the users of local Stytch have moved there: `external_id` is who they were."""
        moved = [
            Seed(user.email.address, user.email.verified, name=user.name, external_id=user.user_id)
            for user in stytch.users.values()
            if user.email is not None
        ]
        return AuthKitConfig(self.url(AUTHKIT), users=tuple(moved), resources=(f"{self.public_url}/mcp",))

    def environment(self) -> dict[str, str]:
        """The server's: what the caller has set stays, except where and with whom it runs."""
        defaults = {
            "WORKOS_DEFAULT_SCOPES": ",".join(scope.name for scope in self.server.scopes),
            "SCOPE_MODE": "custom",
            "ALLOWED_EMAIL_DOMAINS": "example.com",
            "LOG_FORMAT": "json" if self.as_json else "text",
            "UPSTREAM_TOKEN": UPSTREAM_TOKEN,
        }
        fixed = {
            "PUBLIC_URL": self.public_url,
            "HOST": HOST,
            "PORT": str(self.ports[self.server.name].port),
            "STYTCH_PROJECT_ID": PROJECT_ID,
            "STYTCH_SECRET": SECRET,
            "STYTCH_PUBLIC_TOKEN": PUBLIC_TOKEN,
            "STYTCH_DOMAIN": self.issuer,
        }
        if self.upstream:
            fixed["UPSTREAM_URL"] = self.upstream
        if AUTHKIT in self.ports:
            fixed |= {"WORKOS_DOMAIN": self.url(AUTHKIT), "WORKOS_API_KEY": API_KEY}
        return {**defaults, **os.environ, **fixed}

    def commands(self) -> dict[str, list[str]]:
        """The parts that run as processes of their own."""
        python = [sys.executable, "-m"]
        commands = {}
        if self.upstream:
            where = ["--host", HOST, "--port", str(self.ports[UPSTREAM].port), "--app-dir", str(self.root)]
            factory = ["uvicorn", "--factory", "local.app:create_app", "--log-level", "warning"]
            commands[UPSTREAM] = [*python, *factory, *where]
        mine = self.root / "local" / "dev.env"
        env_file = str(mine) if mine.is_file() else os.devnull
        commands[self.server.name] = [*python, self.package, "serve", "--env-file", env_file]
        return commands


@dataclass
class Ending:
    """Why everything ends: `problem` is None when somebody asked for it. The first reason counts."""

    problem: str | None = None
    event: anyio.Event = field(default_factory=anyio.Event)

    def now(self, problem: str | None = None) -> None:
        if not self.event.is_set():
            self.problem = problem
            self.event.set()


class StandIn(uvicorn.Server):
    """uvicorn in this process, which leaves signals to `dev`."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1))
        self.served = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def stand_in(self, part: str, port: Reservation, ending: Ending) -> None:
        try:
            await self.serve(sockets=[port.socket])
            ending.now(f"{part} stopped by itself.")
        finally:
            self.served.set()


async def serve(plan: Plan) -> str | None:
    """Run until something ends it; the problem if that was one."""
    ending = Ending()
    apps = {STYTCH: create_app(plan.stytch())}
    if AUTHKIT in plan.ports:
        apps[AUTHKIT] = authkit.create_app(plan.authkit(apps[STYTCH].state.project))
    stand_ins = {part: StandIn(app) for part, app in apps.items()}
    children: dict[str, anyio.abc.Process] = {}
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_signals, ending)
        for part, stand_in in stand_ins.items():
            tasks.start_soon(stand_in.stand_in, part, plan.ports[part], ending)
        try:
            for part, command in plan.commands().items():
                plan.ports[part].leave_to_child()
                children[part] = await anyio.open_process(
                    command,
                    stdin=None,
                    stdout=STDERR,
                    stderr=None,
                    env=plan.environment(),
                    start_new_session=True,
                )
                tasks.start_soon(watch_child, part, children[part], ending)
            tasks.start_soon(announce, plan, ending)
            await ending.event.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await stop(list(children.values()))
                for stand_in in stand_ins.values():
                    stand_in.should_exit = True
                    await stand_in.served.wait()
            tasks.cancel_scope.cancel()
    return ending.problem


async def watch_signals(ending: Ending, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for _ in signals:
            ending.now()


async def watch_child(part: str, process: anyio.abc.Process, ending: Ending) -> None:
    status = await process.wait()
    ending.now(f"{part} stopped by itself with status {status}; its own words are above.")


async def stop(children: list[anyio.abc.Process]) -> None:
    """End all children: SIGTERM to each, and SIGKILL to whoever does not follow."""
    for process in children:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
    with anyio.move_on_after(STOP_SECONDS):
        for process in children:
            await process.wait()
    for process in children:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def announce(plan: Plan, ending: Ending) -> None:
    """Print the panel, or with `--json` the one line, as soon as everything answers."""
    ready = f"{plan.public_url}/ready"
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        with anyio.move_on_after(READY_SECONDS):
            if plan.upstream:
                await answers(http, plan.upstream, any_status=True)
            await answers(http, ready)
            click.echo(line(plan) if plan.as_json else panel(plan))
            return
    ending.now(f"{ready} was not 200 within {READY_SECONDS:.0f} seconds.")


async def answers(http: httpx.AsyncClient, url: str, any_status: bool = False) -> None:
    while True:
        with contextlib.suppress(httpx.TransportError):
            response = await http.get(url)
            if any_status or response.status_code == 200:
                return
        await anyio.sleep(POLL_SECONDS)


def line(plan: Plan) -> str:
    urls = {
        "mcp_url": f"{plan.public_url}/mcp",
        "issuer": plan.issuer,
        "test_controls": f"{plan.issuer}/_test",
        "upstream": plan.upstream,
        **({"authkit": plan.url(AUTHKIT)} if AUTHKIT in plan.ports else {}),
    }
    return json.dumps(urls)


def typed(name: str) -> str:
    """What to type for the server's command: its name where the shell would find it, else its path."""
    beside = Path(sys.executable).with_name(name)
    if shutil.which(name) or not beside.exists():
        return name
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)


def panel(plan: Plan) -> str:
    name, mcp_url = plan.server.name, f"{plan.public_url}/mcp"
    email = DEFAULT_USERS[0].email
    who = f"{email}, without being asked" if plan.auto_approve else f"{email}, code {FIXED_CODE}"
    rows = [
        (f"{name} is protected and ready", mcp_url),
        (f"{STYTCH} (issuer)", plan.issuer),
        *([(f"{AUTHKIT} (issuer)", plan.url(AUTHKIT))] if AUTHKIT in plan.ports else []),
        *([(UPSTREAM, plan.upstream)] if plan.upstream else []),
        ("log in as", who),
    ]
    width = max(len(label) for label, _ in rows) + 8
    commands = [
        ("Connect", f"claude mcp add --transport http {name.removesuffix('-mcp')} {mcp_url}"),
        ("", f"npx @modelcontextprotocol/inspector --cli {mcp_url} --transport http --method tools/list"),
    ]
    if importlib.util.find_spec("stytch_mcp_kit.check"):
        commands.append(("Check", f"{typed(name)} check {mcp_url}"))
    commands.append(("Stop", "Ctrl-C"))
    lines = [f"{label:<{width}}{value}" for label, value in rows]
    return "\n".join(["", *lines, "", *(f"{label:<10}{command}" for label, command in commands), ""])
