"""/metrics: what is counted, who can read it, and that it costs nothing when it is off."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stytch_mcp.app import create_app
from stytch_mcp.metrics import Metrics
from stytch_mcp.observing import observed
from stytch_mcp.settings import Settings
from tests import probe
from tests.asgi import request
from tests.fake_issuer import DOMAIN, PROJECT_ID, FakeIssuer
from tests.servers import ROOT, STATIC_TOKEN, free_port, probe_server, process

pytestmark = pytest.mark.anyio

HOST = "notes.example.com"


def settings(**changes: Any) -> Settings:
    return Settings(
        **{
            "public_url": f"https://{HOST}",
            "stytch_domain": DOMAIN,
            "stytch_project_id": PROJECT_ID,
            "allowed_users": "*",
            "bearer_tokens": f"ci|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:read",
            "metrics_port": 9090,
            **changes,
        }
    )


def values(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every sample by its name and its one label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


async def test_requests_by_issuer_and_refusals_by_reason(issuer: FakeIssuer) -> None:
    app = create_app(settings(), probe.SERVER, client=issuer.client, now=issuer.now, clock=issuer.clock)
    async with app.router.lifespan_context(app):
        for token, count in ((issuer.token(), 3), (STATIC_TOKEN, 2), (issuer.token(iss="https://evil.example"), 1)):
            for _ in range(count):
                await request(app, "GET", "/mcp", headers=[("authorization", f"Bearer {token}")])
        await request(app, "GET", "/mcp", headers=[("authorization", "Bearer invented-by-a-stranger")])
        await request(app, "GET", "/mcp", host="invented.example")
    seen = values(app.state.metrics)
    assert {name: value for name, value in seen.items() if name[0] == "mcp_requests_total"} == {
        ("mcp_requests_total", DOMAIN): 3,
        ("mcp_requests_total", "bearer-token"): 2,
    }
    assert {name: value for name, value in seen.items() if name[0] == "mcp_refusals_total"} == {
        ("mcp_refusals_total", "unknown_issuer"): 1,
        ("mcp_refusals_total", "malformed"): 1,
        ("mcp_refusals_total", "wrong_host"): 1,
    }
    written = generate_latest(app.state.metrics.registry).decode()
    assert not [each for each in ("invented", "evil", STATIC_TOKEN) if each in written], "a stranger can name no label"


async def test_the_time_that_the_upstream_takes() -> None:
    def answer(asked: httpx.Request) -> httpx.Response:
        if asked.url.path == "/down":
            raise httpx.ConnectError("refused")
        return httpx.Response(int(asked.url.path[1:]))

    metrics = Metrics()
    with metrics.watching():
        client = observed(httpx.AsyncClient(base_url="http://upstream", transport=httpx.MockTransport(answer)))
    async with client:
        for path in ("/200", "/204", "/404", "/503"):
            await client.get(path)
        with pytest.raises(httpx.ConnectError):
            await client.get("/down")
    seen = values(metrics)
    counted = {status: seen["mcp_upstream_seconds_count", status] for status in ("2xx", "4xx", "5xx")}
    assert counted == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert seen["mcp_upstream_requests_total", ""] == 5, "one of them got no answer"
    assert seen["mcp_upstream_seconds_sum", "2xx"] > 0


async def test_the_server_is_built_watched_and_nothing_after_it(issuer: FakeIssuer) -> None:
    seen: list[httpx.AsyncClient] = []

    def build(given: Settings) -> Any:
        seen.append(observed(httpx.AsyncClient()))
        return probe.build(given)

    server = probe.SERVER.__class__(**{**vars(probe.SERVER), "build": build})
    for port in (9090, None):
        app = create_app(settings(metrics_port=port), server, client=FakeIssuer().client)
        async with app.router.lifespan_context(app):
            assert observed(httpx.AsyncClient()).event_hooks == {"request": [], "response": []}
    watched, alone = seen
    assert [len(hooks) for hooks in watched.event_hooks.values()] == [1, 1]
    assert [len(hooks) for hooks in alone.event_hooks.values()] == [0, 0]


def test_off_it_is_not_even_imported() -> None:
    code = (
        "import sys; from stytch_mcp.app import create_app; from stytch_mcp.settings import Settings\n"
        "from tests.probe import SERVER\n"
        f"app = create_app(Settings(public_url='http://127.0.0.1:8000', stytch_domain={DOMAIN!r}, "
        f"stytch_project_id={PROJECT_ID!r}), SERVER)\n"
        "assert app.state.metrics is None\n"
        "assert not {'prometheus_client', 'opentelemetry.sdk'} & set(sys.modules)"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.e2e
def test_they_are_on_their_own_port_and_on_no_other() -> None:
    port = free_port()
    with probe_server(METRICS_PORT=str(port)) as (mcp_url, _):
        headers = {"Authorization": f"Bearer {STATIC_TOKEN}"}
        httpx.get(mcp_url, headers=headers, trust_env=False)
        there = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        assert 'mcp_requests_total{issuer="bearer-token"} 1.0' in there.text
        assert "process_resident_memory_bytes" in there.text
        for path in ("/metrics", "/metrics/"):
            assert httpx.get(mcp_url.replace("/mcp", path), headers=headers, trust_env=False).status_code == 404


@pytest.mark.e2e
def test_a_port_that_somebody_has_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process(
            "tests.probe",
            "serve",
            "--env-file",
            os.devnull,
            PUBLIC_URL="http://127.0.0.1:8000",
            PORT=str(free_port()),
            STYTCH_DOMAIN=DOMAIN,
            STYTCH_PROJECT_ID=PROJECT_ID,
            METRICS_PORT=str(port),
        ) as child:
            assert child.wait() == 3
