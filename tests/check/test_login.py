"""The log-in of the checker: with a person in a browser, with a client that exists, and TLS as it really is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from stytch_mcp_kit.check import clients
from stytch_mcp_kit.check.reports import FORMATS, text
from stytch_mcp_kit.check.runner import Options, Report, Status, run
from stytch_mcp_kit.check.web import AT_ONCE
from stytch_mcp_kit.local.config import PROJECT_ID, SECRET
from tests.check.stand_in import Asked, Fault, StandIn, answer

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


def statuses(report: Report, area: str) -> set[str]:
    return {str(result.status) for result in report.results if result.check.id.startswith(area)}


def wants_a_person(asked: Asked) -> httpx.Response | None:
    """A page that only goes on in a browser."""
    if asked.path == "/_test/authorize" and asked.headers["user-agent"].startswith("mcp-check"):
        return answer(200, content_type="text/html")
    return None


async def test_a_person_logs_in_in_the_browser(dev: dict[str, Any]) -> None:
    opened: list[str] = []

    async def browse(url: str) -> None:
        opened.append(url)
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
            page = await browser.get(url)
        assert page.status_code == 200
        assert "You can close this page" in page.text
        assert page.headers["cache-control"] == "no-store"

    stand_in = StandIn(dev, Fault(before=wants_a_person))
    report = await run(Options(dev["mcp_url"], log_in=True, browse=browse, transport=stand_in), clients.load())
    assert len(opened) == 1, "a person is asked once"
    query = httpx.URL(opened[0]).params
    assert query["code_challenge_method"] == "S256"
    assert query["resource"] == dev["mcp_url"]
    assert query["scope"] == "notes:read offline_access"
    assert report.exit_code == 0
    assert statuses(report, "LG") == {"holds", "not applicable"}
    assert statuses(report, "TK") == {"holds", "not applicable", "not asked"}


async def test_nobody_logs_in(dev: dict[str, Any]) -> None:
    async def browse(url: str) -> None:
        return None

    stand_in = StandIn(dev, Fault(before=wants_a_person))
    options = Options(dev["mcp_url"], log_in=True, browse=browse, login_seconds=0.05, transport=stand_in)
    report = await run(options, clients.load())
    first = report.first_broken
    assert first is not None
    assert (first.check.id, first.detail) == ("LG-01", "nobody logged in within 0.05 s")
    assert statuses(report, "TK") <= {"not reached", "not asked"}


async def test_a_denied_log_in_is_named(dev: dict[str, Any]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.post(f"{dev['test_controls']}/settings", json={"auto_consent": False})
        try:
            report = await run(Options(dev["mcp_url"], log_in=True), clients.load())
        finally:
            await http.post(f"{dev['test_controls']}/settings", json={"auto_consent": True})
    first = report.first_broken
    assert first is not None
    assert (first.check.id, first.detail) == ("LG-01", "authorization ended with access_denied")


async def test_a_client_that_exists_needs_no_registration(dev: dict[str, Any]) -> None:
    body = {"client_type": "third_party_public", "redirect_urls": ["http://127.0.0.1/callback"]}
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"{dev['issuer']}/v1/connected_apps/clients"
        made = (await http.post(url, json=body, auth=(PROJECT_ID, SECRET))).json()["connected_app"]
        await http.post(f"{dev['test_controls']}/settings", json={"dcr_enabled": False})
        try:
            report = await run(Options(dev["mcp_url"], log_in=True, client_id=made["client_id"]), clients.load())
        finally:
            await http.post(f"{dev['test_controls']}/settings", json={"dcr_enabled": True})
    assert statuses(report, "RG") <= {"holds", "not applicable"}
    assert "holds" in statuses(report, "LG")
    assert not report.notes


async def test_what_cannot_be_deleted_is_named(dev: dict[str, Any]) -> None:
    report = await run(Options(dev["mcp_url"], register=True), clients.load())
    (note,) = report.notes
    assert note.startswith("Registered and still there")
    assert "connected-app-test-" in note


async def test_a_registration_that_can_be_deleted_is(dev: dict[str, Any]) -> None:
    """RFC 7592, which local Stytch has not."""
    deleted: list[str] = []

    def before(asked: Asked) -> httpx.Response | None:
        if asked.path == "/manage":
            deleted.append(f"{asked.method} {asked.headers['authorization']}")
            return answer(204)
        return None

    def after(asked: Asked, answered: Any) -> None:
        if asked.path == "/v1/oauth2/register" and answered.status == 200:
            url = f"{dev['issuer']}/manage"
            token = "registration-token"
            answered.say({**answered.json, "registration_client_uri": url, "registration_access_token": token})

    stand_in = StandIn(dev, Fault(before, after))
    report = await run(Options(dev["mcp_url"], register=True, transport=stand_in), clients.load())
    assert report.exit_code == 0
    assert report.notes == ()
    assert deleted == ["DELETE Bearer registration-token"] * 2


@asynccontextmanager
async def over_tls(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """A server on loopback that answers 401 to everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/mcp"
    finally:
        server.close()


async def tls(url: str, ca: Path | None) -> tuple[Status, str]:
    options = Options(url, only=frozenset({"TR"}), ca_file=str(ca) if ca else None, seconds=5)
    report = await run(options, clients.load())
    assert report.unreachable is None
    result = next(result for result in report.results if result.check.id == "TR-02")
    return result.status, result.detail


async def test_certificates_are_judged_by_name_and_by_authority(tmp_path: Path) -> None:
    authority, path = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    async with over_tls(authority.issue_cert("localhost")) as url:
        assert await tls(url, path) == (Status.HOLDS, "")
        status, detail = await tls(url, None)
        assert status is Status.FAILS
        assert "TLS: unable to get local issuer certificate" in detail or "self" in detail
    async with over_tls(authority.issue_cert("another.example")) as url:
        status, detail = await tls(url, path)
        assert status is Status.FAILS
        assert "Hostname mismatch" in detail


async def test_requests_are_few_at_once(dev: dict[str, Any]) -> None:
    """A run is a polite guest, also where the server is slow to answer."""
    now, most = 0, 0

    class Counting(StandIn):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal now, most
            now += 1
            most = max(most, now)
            try:
                await asyncio.sleep(0)
                return await super().handle_async_request(request)
            finally:
                now -= 1

    report = await run(Options(dev["mcp_url"], full=True, transport=Counting(dev, Fault())), clients.load())
    assert 1 < most <= AT_ONCE
    assert report.requests < 150


async def test_a_log_in_that_did_not_happen_is_remarked(dev: dict[str, Any]) -> None:
    stand_in = StandIn(dev, Fault(before=lambda asked: answer(500) if asked.path == "/v1/oauth2/register" else None))
    report = await run(Options(dev["mcp_url"], log_in=True, transport=stand_in), clients.load())
    assert any(note.startswith("Nobody is logged in") for note in report.notes)


async def test_a_limit_is_remarked(dev: dict[str, Any]) -> None:
    stand_in = StandIn(dev, Fault(before=lambda asked: answer(429) if asked.path == "/health" else None))
    report = await run(Options(dev["mcp_url"], transport=stand_in), clients.load())
    assert "1 answers were 429, too many requests: some findings may come from that." in report.notes


async def test_a_password_in_the_url_is_not_repeated(dev: dict[str, Any]) -> None:
    url = dev["mcp_url"].replace("http://", "http://ada:correct-horse@")
    report = await run(Options(url), clients.load())
    assert [result.check.id for result in report.of(Status.FAILS)] == ["TR-03"]
    for render in (text, *FORMATS.values()):
        assert "correct-horse" not in render(report)
