"""Traefik itself in front of a server, with the labels and the command line of the compose files."""

import asyncio
import hashlib
import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bake import ROOT, TEMPLATE
from conftest import Run
from proxied import Setup, free_port, running
from traefik import LINUX, SETTINGS, TUNNEL_ADDRESS, Traefik, compose, docker, status, traefik, wait_for

pytestmark = LINUX

HOST = "mcp.example.com"
URL = f"https://{HOST}"
ELSEWHERE = "127.0.0.1"
BEARER = "mcp_token-of-the-proxy-tests"
NOT_FOUND = b"404 page not found\n"
# These get as far as the server, which takes them as they are and has no such path.
PUBLIC_AS_WRITTEN = {"/oauth/..%2fready", "/.well-known/..;/ready"}
CHECK = ROOT / TEMPLATE / "kit" / "stytch_mcp_kit" / "check"
LARGE = 3 * 1024 * 1024
PROXIED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
CALLING = {
    "Authorization": f"Bearer {BEARER}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "gzip, br, zstd",
    "MCP-Protocol-Version": "2025-11-25",
}
# Bounds a hang, nothing else.
HANGING_SECONDS = 60


@contextmanager
def server(folder: Path, *addresses: str, **settings: str) -> Iterator[Setup]:
    """The probe of the server's own tests, whose tools reach the edges of the protocol, as https://mcp.example.com."""
    token = f"proxy|{hashlib.sha256(BEARER.encode()).hexdigest()}|notes:read"
    secret = "cookies-of-the-proxy-tests-are-encrypted-with-this"
    with running(
        folder,
        addresses,
        module="tests.probe",
        public_host=HOST,
        BEARER_TOKENS=token,
        SIGNIN_SECRET=secret,
        **settings,
    ) as setup:
        yield setup


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port("127.0.0.21")


@pytest.fixture(scope="module")
def proxied(default: Path, metrics_port: int) -> Iterator[Setup]:
    """One replica behind Traefik; its /metrics are on, and it takes large bodies."""
    with server(default, "127.0.0.21", METRICS_PORT=str(metrics_port), MAX_BODY_BYTES=str(2 * LARGE)) as setup:
        yield setup


def ask(
    setup: Setup | Traefik,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    source: str = TUNNEL_ADDRESS,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request, its path exactly as given, as cloudflared would pass it on: plain HTTP, with the public Host."""
    port = int(setup.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGING_SECONDS, source_address=(source, 0))
    connection.request(method, path, body, {"Host": HOST} | PROXIED | (headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def call(tool: str, arguments: dict[str, Any] | None = None, *, progress: bool = False) -> bytes:
    """A tool call; with `progress` its answer is a stream."""
    params = {"name": tool, "arguments": arguments or {}, **({"_meta": {"progressToken": "p"}} if progress else {})}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


@pytest.mark.parametrize("path", ["/health", "/.well-known/oauth-protected-resource/mcp", "/oauth/authorize", "/mcp"])
def test_what_is_public_gets_through(path: str, proxied: Setup) -> None:
    _, _, body = ask(proxied, path)
    assert body != NOT_FOUND


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ready",
        "/metrics",
        "/mcp/x",
        "/mcpx",
        "/health/x",
        "/healthy",
        "/oauth",
        "/.well-known",
        "/mcp/../ready",
        "/mcp/../metrics",
        "/oauth/../ready",
        "/oauth/%2e%2e/ready",
        "/oauth/..%2fready",
        "/.well-known/..;/ready",
        "//ready",
        "/%72eady",
        "/ready?x=/mcp",
        "/ready/",
        "/READY",
    ],
)
def test_nothing_else_does(path: str, proxied: Setup) -> None:
    """However it is spelled: /ready tells strangers when to come, /metrics who is here."""
    code, _, body = ask(proxied, path)
    assert code in (400, 404), body
    assert not [each for each in (b'"ready"', b"mcp_requests") if each in body]
    assert body == NOT_FOUND or code == 400 or path in PUBLIC_AS_WRITTEN, body


def test_metrics_are_there_for_those_inside(proxied: Setup, metrics_port: int) -> None:
    assert status(f"http://127.0.0.21:{metrics_port}/metrics") == 200
    assert status(f"http://127.0.0.21:{proxied.port}/metrics") in (404, 421)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "xmcp.example.com", "mcp.example.com.evil.example"])
def test_another_host_has_no_way_in(host: str, proxied: Setup) -> None:
    code, _, body = ask(proxied, "/mcp", "POST", call("free"), CALLING | {"Host": host})
    assert (code, body) == (404, NOT_FOUND)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("proto", ["http", "https", None])
def test_no_redirect_loses_the_token(path: str, proto: str | None, proxied: Setup) -> None:
    """A redirect to http, or to another path, makes clients drop Authorization; one to https would loop here."""
    forwarded = {"X-Forwarded-Proto": proto} if proto else {}
    code, headers, body = ask(proxied, path, "POST", call("free"), CALLING | forwarded)
    assert (code, headers["location"]) == (200, None), body
    assert json.loads(body)["result"]["content"][0]["text"] == "free"


@pytest.mark.parametrize("path", ["/health", "/.well-known/oauth-protected-resource", "/oauth/authorize", "/mcp"])
def test_nobody_is_sent_from_http_to_https_in_a_circle(path: str, proxied: Setup) -> None:
    for source in (TUNNEL_ADDRESS, ELSEWHERE):
        code, headers, _ = ask(proxied, path, source=source)
        assert urlsplit(headers.get("location", "")).path != path, code


def test_the_metadata_names_the_public_address_whatever_headers_say(proxied: Setup) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example"}
    for source in (TUNNEL_ADDRESS, ELSEWHERE):
        _, _, body = ask(proxied, "/.well-known/oauth-protected-resource/mcp", headers=forged, source=source)
        assert json.loads(body)["resource"] == f"{URL}/mcp"
        code, headers, _ = ask(proxied, "/mcp", "POST", call("free"), forged, source=source)
        assert code == 401
        assert f'resource_metadata="{URL}/.well-known/oauth-protected-resource/mcp"' in headers["www-authenticate"]


def test_the_gate_still_judges_the_origin(proxied: Setup) -> None:
    assert ask(proxied, "/mcp", "POST", call("free"), CALLING | {"Origin": "https://evil.example"})[0] == 403
    assert ask(proxied, "/mcp", "POST", call("free"), CALLING | {"Origin": URL})[0] == 200


def test_a_body_that_the_server_takes_is_not_too_large_for_the_proxy(proxied: Setup) -> None:
    body = call("free", {"padding": "x" * LARGE})
    assert ask(proxied, "/mcp", "POST", body, CALLING)[0] == 200


if CHECK.is_dir():

    @pytest.mark.long
    def test_check_holds_through_the_proxy(default: Path, run: Run, python: str) -> None:
        """Every requirement on a protected server, as the kit's `check` looks at them, with Traefik in between."""
        with running(default, ("127.0.0.25",)) as setup:
            command = [python, "-m", "stytch_mcp_kit.check", f"{setup.url}/mcp", "--login", "--register"]
            said = json.loads(run(*command, "--format", "json", cwd=default, PYTHONPATH=str(default / "kit")))
            assert said, said


class Line:
    """The test's end of the connection that the tool `hold` opens."""

    def __init__(self, stack: ExitStack) -> None:
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.settimeout(HANGING_SECONDS)
        self.port = self._listener.getsockname()[1]

    def opened(self, stack: ExitStack) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(HANGING_SECONDS)
        stack.enter_context(connection)
        assert connection.recv(4) == b"here"
        return connection


@dataclass(frozen=True)
class Held:
    """A call under way through Traefik: its answer so far, and the tool's line."""

    connection: http.client.HTTPConnection
    answer: http.client.HTTPResponse
    tool: socket.socket

    def leave(self) -> None:
        self.answer.close()
        self.connection.close()


def hold(setup: Setup, stack: ExitStack) -> Held:
    """Makes a call that goes on until the test ends it.

    Go's reverse proxy gives up a stream that begins before it has seen the end of the request's body: on a machine
    short of CPU about one call in 300. So this is a call of 2026-07-28, whose stream begins with the first step and not
    at once, and that comes when the proxy has served somebody else since.
    """
    line = Line(stack)
    message = json.loads(call("hold", {"port": line.port, "wait": True}, progress=True))
    message["params"]["_meta"] |= {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    named = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "hold"}
    headers = {"Host": HOST, **PROXIED, **CALLING, **named}
    connection = http.client.HTTPConnection("127.0.0.1", int(setup.url.rpartition(":")[2]), timeout=HANGING_SECONDS)
    stack.callback(connection.close)
    connection.request("POST", "/mcp", json.dumps(message), headers)
    tool = line.opened(stack)
    assert ask(setup, "/mcp", "POST", call("free"), CALLING)[0] == 200
    tool.sendall(b"go")
    return Held(connection, stack.enter_context(connection.getresponse()), tool)


def test_a_stream_arrives_step_by_step_and_as_it_is(proxied: Setup) -> None:
    """The first step arrives while the tool waits for this very test: nothing buffers, nothing compresses."""
    with ExitStack() as stack:
        held = hold(proxied, stack)
        answer = held.answer
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["content-encoding"] is None
        first = b""
        while not first.endswith(b"\r\n\r\n"):
            first += answer.read(1)
        assert b"notifications/progress" in first
        held.tool.sendall(b"end")
        assert b"finished" in held.answer.read()


def test_a_client_that_leaves_ends_the_call_behind_the_proxy(proxied: Setup) -> None:
    with ExitStack() as stack:
        held = hold(proxied, stack)
        held.leave()
        assert held.tool.recv(9) == b"cancelled"


def test_a_replica_that_is_told_to_end_finishes_what_it_has(default: Path) -> None:
    """Traefik learns that it goes, sends all that comes to the other one, and the call under way ends as it should."""
    with server(default, "127.0.0.22", "127.0.0.23", DRAIN_SECONDS="60") as setup, ExitStack() as stack:
        held = hold(setup, stack)
        (mine,) = [address for address in setup.replicas if address != other(setup, held.tool)]
        setup.replicas[mine].send_signal(signal.SIGTERM)
        wait_for(lambda: mine not in setup.serving(), "Traefik without it")
        for _ in range(20):
            assert ask(setup, "/mcp", "POST", call("free"), CALLING)[0] == 200
        assert status(f"http://{mine}:{setup.port}/health") == 200, "Traefik has to learn it before that ends"
        held.tool.sendall(b"end")
        assert b"finished" in held.answer.read()
        setup.replicas[mine].send_signal(signal.SIGINT)
        assert setup.replicas[mine].wait(HANGING_SECONDS) in (0, -signal.SIGTERM, -signal.SIGINT)


def other(setup: Setup, tool: socket.socket) -> str:
    """The replica that is not at the far end of the tool's line."""
    inode = socket_inode(*tool.getpeername())
    for address, process in setup.replicas.items():
        if any(link == f"socket:[{inode}]" for link in links(process.pid)):
            return next(each for each in setup.replicas if each != address)
    raise AssertionError("no replica has that line")


def socket_inode(address: str, port: int) -> str:
    """Which socket has this local address (proc(5), /proc/net/tcp)."""
    local = f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return next(fields[9] for fields in map(str.split, lines) if fields[1] == local and fields[9] != "0")


def links(pid: int) -> Iterator[str]:
    """What the file descriptors of a process are."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield str(link.readlink())
        except OSError:
            continue


@pytest.fixture(scope="module")
def echo(default: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traefik]:
    """Traefik in front of something that says which headers reached it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    backend = ThreadingHTTPServer(("127.0.0.24", 0), Handler)
    backend.daemon_threads = True
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    configuration = compose(default, SETTINGS)
    labels = configuration["services"]["server"]["labels"]
    labels["traefik.http.services.notes-mcp.loadbalancer.server.port"] = str(backend.server_port)
    log = tmp_path_factory.mktemp("traefik") / "log"
    with docker({"127.0.0.24": labels}) as api, traefik(configuration, api, free_port(), free_port(), log) as proxy:
        wait_for(lambda: proxy.serving("notes-mcp"), "Traefik with the echo")
        yield proxy
        # The proxy in front of Docker's socket lets through no more than this.
        assert api.asked <= {"_ping", "version", "events", "containers"}
        assert " ERR " not in log.read_text(), log.read_text()
    backend.shutdown()
    backend.server_close()


def test_the_client_that_the_tunnel_names_is_believed(echo: Traefik) -> None:
    seen = json.loads(ask(echo, "/health")[2])
    assert seen["x-forwarded-for"] == f"203.0.113.7, {TUNNEL_ADDRESS}"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["host"] == HOST


def test_the_client_that_anybody_else_names_is_not(echo: Traefik) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Real-Ip": "203.0.113.9", "X-Forwarded-Port": "443"}
    seen = json.loads(ask(echo, "/health", headers=forged, source=ELSEWHERE)[2])
    assert seen["x-forwarded-for"] == ELSEWHERE
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == HOST
    assert "203.0.113" not in str(seen)


@pytest.mark.parametrize(("path", "burst"), [("/mcp", 200), ("/health", 50), ("/oauth/authorize", 30)])
def test_who_asks_too_much_is_held_up_alone(path: str, burst: int, echo: Traefik) -> None:
    """Each client address has its own bucket, and a client cannot get another by naming one."""

    def codes(count: int, client: str) -> list[int]:
        forwarded = {"X-Forwarded-For": client}
        return [ask(echo, path, headers=forwarded)[0] for _ in range(count)]

    greedy = codes(burst, "203.0.113.20")
    assert set(greedy) == {200}
    # What has trickled back meanwhile is used up first.
    while 429 not in greedy:
        greedy += codes(10, "203.0.113.20")
    # What the client itself puts in front changes nothing: Cloudflare appends the address that it sees.
    assert 429 in codes(burst, "198.51.100.1, 203.0.113.20")
    assert set(codes(5, "203.0.113.21")) == {200}


def test_whoever_comes_past_the_tunnel_shares_one_bucket(echo: Traefik) -> None:
    async def flood() -> list[int]:
        asked = [
            asyncio.to_thread(ask, echo, "/oauth/x", headers={"X-Forwarded-For": client}, source=ELSEWHERE)
            for client in (f"203.0.113.{100 + number}" for number in range(60))
        ]
        return [code for code, _, _ in await asyncio.gather(*asked)]

    assert 429 in asyncio.run(flood())
