"""Requests that end: bounded in size, time, number and target, whatever the other side does. Nothing is raised."""

import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

import anyio
import httpx

MAX_BYTES: Final = 1024 * 1024
MAX_REQUESTS: Final = 400
MAX_REDIRECTS: Final = 3
AT_ONCE: Final = 4
TOO_MANY: Final = 429
USER_AGENT: Final = "mcp-check/0.1"
TOO_LARGE: Final = f"more than {MAX_BYTES // 1024} KiB"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Home = Literal["loopback", "private", "public"]
Kind = Literal["", "tls", "network", "time", "size", "forbidden", "budget"]


@dataclass(frozen=True)
class Answer:
    """What came back. `problem` says why nothing did (`status` 0), or not all of it; `via` are redirects followed."""

    url: str
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    body: bytes = b""
    seconds: float = 0.0
    kind: Kind = ""
    problem: str | None = None
    via: tuple[str, ...] = ()

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def says(self) -> str:
        """The status, or why there is none."""
        return str(self.status) if self.status else str(self.problem)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, in the system's order. Raises OSError."""
    found = await anyio.getaddrinfo(host, port, type=1)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass
class Web:
    """All requests of one run. `seconds` bounds each, `deadline_seconds` all together; `clock` is monotonic.

    Where the checked server is decides what it may point to: only a server on loopback may name loopback, only one in
    a private network private addresses, and nobody link-local ones (cloud metadata).
    """

    transport: httpx.AsyncBaseTransport | None = None
    resolve: Resolve = resolve
    clock: Callable[[], float] = time.monotonic
    seconds: float = 10.0
    deadline_seconds: float = 240.0
    ca_file: str | None = None
    home: Home = "public"
    requests: int = 0
    limited: int = 0
    """How many answers said that there were too many requests (429)."""
    extra_seconds: float = 0.0
    """What the run waited for a person; it does not count."""

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._slots = anyio.Semaphore(AT_ONCE)
        self._client = httpx.AsyncClient(
            transport=self.transport,
            verify=ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True,
            timeout=self.seconds,
            trust_env=False,
            limits=httpx.Limits(max_connections=2 * AT_ONCE),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *reason: Any) -> None:
        await self._client.__aexit__(*reason)

    async def settle(self, url: str) -> Answer | None:
        """Finds out where the checked server is; an Answer with the problem when its name leads nowhere."""
        try:
            addresses = await self.addresses(url)
        except (OSError, ValueError) as error:
            return Answer(url, kind="network", problem=f"the host name cannot be resolved ({type(error).__name__})")
        if any(address.is_loopback for address in addresses):
            self.home = "loopback"
        elif not all(address.is_global for address in addresses):
            self.home = "private"
        return None

    async def addresses(self, url: str) -> list[Address]:
        """Where a URL leads. Raises OSError, ValueError."""
        parts = httpx.URL(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        try:
            return [plain(parts.host)]
        except ValueError:
            with anyio.fail_after(self.seconds):
                return [plain(address) for address in await self.resolve(parts.host, port)]

    def forbidden(self, address: Address) -> str | None:
        """Why this run does not go there."""
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return f"{address} is link-local, multicast or nowhere"
        if address.is_loopback:
            return None if self.home == "loopback" else f"{address} is loopback: this machine, for whoever asks"
        if not address.is_global and self.home != "private":
            return f"{address} is not a public address"
        return None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        head_only: bool = False,
    ) -> Answer:
        """One request, no redirect followed. `head_only`: the body is not waited for."""
        self.requests += 1
        left = self.deadline_seconds + self.extra_seconds - (self.clock() - self._began)
        if self.requests > MAX_REQUESTS or left <= 0:
            return Answer(url, kind="budget", problem="the run's time or number of requests is used up")
        async with self._slots:
            began = self.clock()
            answer = Answer(url, kind="time", problem=f"no answer within {self.seconds:g} s")
            with anyio.move_on_after(min(self.seconds, left)):
                answer = await self._ask(method, url, headers or {}, content, form, head_only)
            self.limited += answer.status == TOO_MANY
            return Answer(**{**vars(answer), "seconds": self.clock() - began})

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | list[tuple[str, str]],
        content: bytes | None,
        form: Mapping[str, str] | None,
        head_only: bool,
    ) -> Answer:
        try:
            target = httpx.URL(url)
            addresses = await self.addresses(url)
        except (httpx.InvalidURL, KeyError, ValueError):
            return Answer(url, kind="forbidden", problem="not an http or https URL")
        except OSError:
            return Answer(url, kind="network", problem="the host name cannot be resolved")
        answer = Answer(url, kind="network", problem="the host name has no address")
        for address in addresses:
            reason = self.forbidden(address)
            if reason is not None:
                return Answer(url, kind="forbidden", problem=f"not asked: {reason}")
            given = httpx.Headers(headers)
            given.setdefault("user-agent", USER_AGENT)
            given.setdefault("accept-encoding", "identity")
            given.setdefault("host", target.netloc.decode())
            request = self._client.build_request(
                method,
                target.copy_with(host=str(address)),
                headers=given,
                content=content,
                data=form,
                # The address that was judged is the one that is asked; the certificate is that of the name.
                extensions={"sni_hostname": target.host},
            )
            answer = await self._send(url, request, head_only)
            if answer.kind != "network":
                break
        return answer

    async def _send(self, url: str, request: httpx.Request, head_only: bool) -> Answer:
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TimeoutException:
            return Answer(url, kind="time", problem=f"no answer within {self.seconds:g} s")
        except (httpx.HTTPError, ssl.SSLError, UnicodeError, ValueError) as error:
            flaw = tls_flaw(error)
            if flaw:
                return Answer(url, kind="tls", problem=f"TLS: {flaw}")
            return Answer(url, kind="network", problem=f"no answer ({type(error).__name__})")
        body = bytearray()
        kind: Kind = ""
        problem = None
        try:
            # Whatever ends it, what has come so far is an answer.
            with anyio.move_on_after(self.seconds * 0.8) as patience:
                async for chunk in response.aiter_raw() if not head_only else nothing():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        kind, problem = "size", TOO_LARGE
                        break
                    if response.headers.get("content-type", "").startswith("text/event-stream") and complete(body):
                        break
            if patience.cancelled_caught:
                kind, problem = "time", f"the body was not complete within {self.seconds * 0.8:g} s"
        except httpx.HTTPError as error:
            kind, problem = "network", f"the body breaks off ({type(error).__name__})"
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        return Answer(url, response.status_code, response.headers, bytes(body[:MAX_BYTES]), 0.0, kind, problem)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET as the SDKs of MCP do it: redirects are followed within the origin, and only a few."""
        via: list[str] = []
        answer = await self.ask("GET", url, headers={"accept": "application/json", **(headers or {})})
        while answer.status in (301, 302, 303, 307, 308) and len(via) < MAX_REDIRECTS:
            target = str(httpx.URL(answer.url).join(location(answer)))
            via.append(target)
            if origin(target) != origin(url):
                break
            answer = await self.ask("GET", target, headers={"accept": "application/json", **(headers or {})})
        return Answer(**{**vars(answer), "via": tuple(via)})


async def nothing() -> AsyncIterator[bytes]:
    """No chunk at all."""
    for chunk in list[bytes]():
        yield chunk


def plain(text: str) -> Address:
    """An address, an IPv4 one also when it hides in IPv6. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def location(answer: Answer) -> str:
    """The Location header, if a URL can be made of it."""
    try:
        return str(httpx.URL(answer.headers.get("location", "")))
    except httpx.InvalidURL:
        return ""


def split(url: str) -> SplitResult:
    """The parts of a URL; all empty for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = split(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def tls_flaw(error: BaseException | None) -> str | None:
    """What is wrong with the certificate or the handshake, if that is what is wrong."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message)
        if isinstance(error, ssl.SSLError):
            return str(error.reason or "the handshake failed")
        error = error.__cause__ or error.__context__
    return None


def complete(stream: bytes | bytearray) -> bool:
    """Whether an event stream has brought the answer to a request: nobody has to wait for its end."""
    return stream.endswith((b"\n\n", b"\r\n\r\n")) and (b'"result"' in stream or b'"error"' in stream)


def parse(body: bytes) -> tuple[Any, str | None]:
    """JSON, or why it is none."""
    try:
        return json.loads(body), None
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except RecursionError:
        return None, "nested too deep"
    except ValueError:
        return None, "not JSON"
