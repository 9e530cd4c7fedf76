"""Traces: what a collector gets when one is set, and what never gets there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers import STATIC_TOKEN, probe_server

pytestmark = pytest.mark.e2e

VALUE = "value-that-nobody-else-may-see"
CALLING = {
    "Authorization": f"Bearer {STATIC_TOKEN}",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Takes what is sent to it, as (path, body)."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def call(mcp_url: str, tool: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {"x": VALUE}}}
    return httpx.post(mcp_url, headers=CALLING, json=body, trust_env=False)


def test_a_collector_gets_a_span_of_each_call_also_of_the_last() -> None:
    with collector() as (endpoint, got), probe_server(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as (mcp_url, child):
        assert call(mcp_url, "free").status_code == 200
        child.send_signal(signal.SIGTERM)
        child.wait()
    assert {path for path, _ in got} == {"/v1/traces"}
    (resource,) = [each for _, body in got for each in ExportTraceServiceRequest.FromString(body).resource_spans]
    names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert names["service.name"] == "probe"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["tools/call free"]
    sent = b"".join(body for _, body in got)
    assert not [each for each in (STATIC_TOKEN, VALUE) if each.encode() in sent]


def test_a_collector_that_is_down_is_nobodys_problem() -> None:
    with probe_server(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as (mcp_url, _):
        for _ in range(3):
            assert call(mcp_url, "free").status_code == 200


def test_without_one_there_are_no_spans() -> None:
    with collector() as (_, got), probe_server() as (mcp_url, _):
        assert call(mcp_url, "free").status_code == 200
    assert got == []
