"""Clients that are known by a document they publish (Client ID Metadata Documents), with the real client over TLS."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.abc
import httpx
import httpx2
import pytest
import trustme
from anyio.streams.tls import TLSListener
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

from stytch_mcp_kit.local.config import PROJECT_ID, SECRET
from stytch_mcp_kit.local.registration import MAX_BYTES
from tests.sdk_client import REDIRECT_URI, Memory, Mode, call_as, connect
from tests.servers import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

MODES: list[Mode] = ["auto", "legacy"]
MISCONFIGURED = "connected_app_misconfigured_client"
# Bounds a hang, nothing else.
HANGING_SECONDS = 120


class Refused(Exception):
    """The page answered instead of sending the browser back to the client."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(answer.text)
        self.status = answer.status_code
        self.error = answer.json()["error_type"]


@dataclass
class Publisher:
    """The client's own web site: one document, over TLS, at `url`."""

    port: int
    body: bytes = b""
    status: str = "200 OK"
    headers: list[str] = field(default_factory=list)
    holds: bool = False
    """Send the head and half of the body, then nothing more."""
    asked: int = 0
    left: anyio.Event = field(default_factory=anyio.Event)
    """Whoever asked has hung up."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/client.json"

    def publish(self, **changes: Any) -> None:
        document = {
            "client_id": self.url,
            "client_name": "Published client",
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "none",
            **changes,
        }
        self.body = json.dumps(document).encode()

    async def answer(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
            self.asked += 1
            assert request.startswith(b"GET /client.json HTTP/1.1\r\n")
            head = [f"HTTP/1.1 {self.status}", f"content-length: {len(self.body)}", "connection: close", *self.headers]
            sent = self.body[: len(self.body) // 2] if self.holds else self.body
            try:
                await stream.send("\r\n".join([*head, "", ""]).encode() + sent)
                if self.holds:
                    await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                self.left.set()


@asynccontextmanager
async def publishing(authority: trustme.CA, name: str = "127.0.0.1") -> AsyncIterator[Publisher]:
    """A web site whose certificate is for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    publisher = Publisher(plain.extra(anyio.abc.SocketAttribute.local_port))
    publisher.publish()
    async with TLSListener(plain, context, standard_compatible=False) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, publisher.answer)
        with anyio.fail_after(HANGING_SECONDS):
            yield publisher
        tasks.cancel_scope.cancel()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def publisher(authority: trustme.CA) -> AsyncIterator[Publisher]:
    async with publishing(authority) as published:
        yield published


@pytest.fixture
def switch(dev: dict[str, Any]) -> Iterator[Any]:
    """Turn settings of local Stytch; afterwards they are as they were."""
    with httpx.Client(base_url=f"{dev['test_controls']}/", trust_env=False) as controls:
        before = controls.get("settings").json()
        names = [name for name in before if name.startswith("cimd_")]
        turn = partial(turned, controls)
        yield turn
        turn(**{name: before[name] for name in names})


def turned(controls: httpx.Client, **settings: Any) -> None:
    answer = controls.post("settings", json=settings)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def stytch(dev: dict[str, Any], authority: trustme.CA, switch: Any) -> dict[str, Any]:
    """`dev`, whose local Stytch trusts the authority's certificates and nobody else's."""
    switch(cimd_ca=authority.cert_pem.bytes().decode())
    return dev


@asynccontextmanager
async def client_of(dev: dict[str, Any], client_metadata_url: str, memory: Memory) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that logs in as the client that the document describes."""
    landed: list[httpx2.URL] = []

    async def browse(url: str) -> None:
        answer = await plain.get(url, follow_redirects=False)
        if answer.status_code != 302:
            raise Refused(answer)
        landed.append(httpx2.URL(answer.headers["location"]))

    async def callback() -> AuthorizationCodeResult:
        query = landed[-1].params
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

    async with httpx2.AsyncClient(trust_env=False) as plain:
        metadata = OAuthClientMetadata(
            redirect_uris=[REDIRECT_URI],  # type: ignore[list-item]
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",
        )
        provider = OAuthClientProvider(
            server_url=dev["mcp_url"],
            client_metadata=metadata,
            storage=memory,
            redirect_handler=browse,
            callback_handler=callback,
            client_metadata_url=client_metadata_url,
        )
        async with httpx2.AsyncClient(auth=provider, timeout=30, trust_env=False) as http:
            yield http


async def log_in_and_call(dev: dict[str, Any], url: str, memory: Memory, mode: Mode = "auto") -> dict[str, Any]:
    """Log in with the document at `url`, call a tool, and return whose token that was."""
    async with client_of(dev, url, memory) as http, connect(dev["mcp_url"], http, mode) as client:
        claims = await call_as(client, memory)
    return {name: claims[name] for name in ("sub", "client_id")}


async def refusal(dev: dict[str, Any], url: str) -> Refused:
    """Log in with the document at `url`, which must end in this error for the client, and with no token."""
    memory = Memory()
    with pytest.RaisesGroup(Refused, allow_unwrapped=True, flatten_subgroups=True) as caught:
        await log_in_and_call(dev, url, memory)
    assert memory.tokens is None
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, Refused)
    return error


@pytest.mark.parametrize("mode", MODES)
async def test_a_published_client_logs_in_and_calls(stytch: dict[str, Any], publisher: Publisher, mode: Mode) -> None:
    """Its URL is its name towards Stytch; tokens name the Connected App that Stytch keeps for it."""
    memory = Memory()
    async with httpx.AsyncClient(auth=(PROJECT_ID, SECRET), base_url=stytch["issuer"], trust_env=False) as api:
        await api.delete("/_test/requests")
        who = await log_in_and_call(stytch, publisher.url, memory, mode)
        requests = (await api.get("/_test/requests")).json()["requests"]
        app = (await api.get(f"/v1/connected_apps/clients/{who['client_id']}")).json()["connected_app"]
    assert "/v1/oauth2/register" not in [request["path"] for request in requests]
    assert memory.client_info is not None
    assert memory.client_info.client_id == publisher.url
    assert who["client_id"].startswith("connected-app-test-")
    assert who["sub"].startswith("user-test-")
    assert app["client_id_metadata_url"] == publisher.url
    assert (app["client_name"], app["client_type"]) == ("Published client", "third_party_public")
    assert app["redirect_urls"] == [REDIRECT_URI]


async def test_it_is_the_same_app_the_next_time_and_after_a_refresh(
    stytch: dict[str, Any], publisher: Publisher
) -> None:
    memory = Memory()
    first = await log_in_and_call(stytch, publisher.url, memory)
    assert memory.tokens is not None
    fields = {
        "grant_type": "refresh_token",
        "client_id": publisher.url,
        "refresh_token": memory.tokens.refresh_token or "",
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{stytch['issuer']}/v1/oauth2/token", data=fields)
    assert answer.status_code == 200, answer.text
    memory.tokens.access_token = answer.json()["access_token"]
    assert await log_in_and_call(stytch, publisher.url, memory) == first
    assert publisher.asked == 1, "a refresh needs no document"
    assert await log_in_and_call(stytch, publisher.url, Memory()) == first
    assert publisher.asked == 2


@pytest.mark.parametrize(
    "document",
    [
        {"client_id": "https://127.0.0.1/other.json"},
        {"client_id": None},
        {"redirect_uris": None},
        {"redirect_uris": REDIRECT_URI},
        {"client_secret": "everybody-can-read-it"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
    ],
    ids=json.dumps,
)
async def test_a_document_that_says_something_wrong_is_refused(
    stytch: dict[str, Any], publisher: Publisher, document: dict[str, Any]
) -> None:
    publisher.publish(**document)
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_redirect_that_is_not_in_the_document_is_refused(stytch: dict[str, Any], publisher: Publisher) -> None:
    publisher.publish(redirect_uris=["https://client.example/callback"])
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, "connected_app_supplied_redirect_url_not_found_in_client")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b"\xff\xfe", b"[" * 60_000])
async def test_what_is_no_json_object_is_refused(stytch: dict[str, Any], publisher: Publisher, body: bytes) -> None:
    publisher.body = body
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_document_may_be_large_and_not_larger(stytch: dict[str, Any], publisher: Publisher) -> None:
    publisher.body = publisher.body.ljust(MAX_BYTES)
    assert await log_in_and_call(stytch, publisher.url, Memory())
    publisher.body += b" "
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_compressed_document_is_refused(stytch: dict[str, Any], publisher: Publisher) -> None:
    publisher.headers, publisher.body = ["content-encoding: gzip"], gzip.compress(publisher.body)
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_document_that_does_not_end_is_given_up(
    stytch: dict[str, Any], publisher: Publisher, switch: Any
) -> None:
    switch(cimd_seconds=0.2)
    publisher.holds = True
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)
    await publisher.left.wait()


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_to_the_document_is_not_followed(
    stytch: dict[str, Any], publisher: Publisher, authority: trustme.CA, status: str
) -> None:
    async with publishing(authority) as elsewhere:
        elsewhere.publish(client_id=publisher.url)
        publisher.status, publisher.headers = status, [f"location: {elsewhere.url}"]
        refused = await refusal(stytch, publisher.url)
        assert (refused.status, refused.error) == (400, MISCONFIGURED)
        assert (publisher.asked, elsewhere.asked) == (1, 0)


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error"])
async def test_a_page_that_says_no_is_no_document(stytch: dict[str, Any], publisher: Publisher, status: str) -> None:
    publisher.status = status
    refused = await refusal(stytch, publisher.url)
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_host_that_is_not_there_is_refused(stytch: dict[str, Any]) -> None:
    refused = await refusal(stytch, f"https://127.0.0.1:{free_port()}/client.json")
    assert (refused.status, refused.error) == (400, MISCONFIGURED)


async def test_a_certificate_of_nobody_known_is_refused(dev: dict[str, Any], publisher: Publisher) -> None:
    refused = await refusal(dev, publisher.url)
    assert (refused.status, refused.error, publisher.asked) == (400, MISCONFIGURED, 0)


async def test_a_certificate_for_another_host_is_refused(stytch: dict[str, Any], authority: trustme.CA) -> None:
    async with publishing(authority, "client.example") as impostor:
        refused = await refusal(stytch, impostor.url)
        assert (refused.status, refused.error, impostor.asked) == (400, MISCONFIGURED, 0)


async def test_http_is_refused_by_the_client_and_by_stytch(
    stytch: dict[str, Any], publisher: Publisher, switch: Any
) -> None:
    plain = publisher.url.replace("https://", "http://")
    with pytest.raises(ValueError, match="must be a valid HTTPS URL"):
        await log_in_and_call(stytch, plain, Memory())
    switch(cimd_allow_http=False)
    query = {"client_id": plain, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid"}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{stytch['test_controls']}/authorize", params=query)
    assert (answer.status_code, answer.json()["error_type"]) == (404, "connected_app_not_found")


async def test_where_stytch_does_not_offer_it_the_client_registers(
    stytch: dict[str, Any], publisher: Publisher, switch: Any
) -> None:
    switch(cimd_enabled=False)
    memory = Memory()
    who = await log_in_and_call(stytch, publisher.url, memory)
    assert memory.client_info is not None
    assert memory.client_info.client_id == who["client_id"]
    assert publisher.asked == 0


async def test_a_client_that_mends_its_document_is_let_in(stytch: dict[str, Any], publisher: Publisher) -> None:
    publisher.publish(redirect_uris=[])
    await refusal(stytch, publisher.url)
    publisher.publish()
    assert (await log_in_and_call(stytch, publisher.url, Memory()))["sub"]
