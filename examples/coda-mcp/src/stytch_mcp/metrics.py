"""Figures for Prometheus, on a port of their own: METRICS_PORT, with the extra `metrics`. Off, this is not imported.

A path beside /mcp would be one rule of a proxy away from the public; a port that no proxy is told of is not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx
from prometheus_client import CollectorRegistry, GCCollector, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from stytch_mcp.observing import watching
from stytch_mcp.protect.gate import Authenticate
from stytch_mcp.protect.issuers import Principal

_SENT = "stytch_mcp.sent"


class Metrics(Collector):
    """What one application counts. Labels are issuers, reason codes and statuses: none that a caller could invent."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.sent = 0
        self.registry = CollectorRegistry()
        self._upstream = Histogram(
            "mcp_upstream_seconds",
            "From the request to the headers of the answer of the API behind the tools.",
            ["status"],
            registry=self.registry,
        )
        for collector in (ProcessCollector, GCCollector):
            collector(registry=self.registry)
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """What is counted outside of the library, when somebody asks."""
        for name, text, label, counter in (
            ("mcp_requests", "Requests to /mcp that were let in, by issuer of the token.", "issuer", self.requests),
            ("mcp_refusals", "Requests that were refused, by reason code.", "reason", self.refusals),
        ):
            family = CounterMetricFamily(name, text, labels=[label])
            for value, count in sorted(counter.items()):
                family.add_metric([value], count)
            yield family
        sent = "Requests to the API behind the tools; what has no place in mcp_upstream_seconds got no answer."
        yield CounterMetricFamily("mcp_upstream_requests", sent, self.sent)

    def counting(self, authenticate: Authenticate) -> Authenticate:
        """The same, and whoever is let in is counted."""

        async def counted(token: str) -> Principal:
            principal = await authenticate(token)
            self.requests[principal.issuer] += 1
            return principal

        return counted

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What `observed()` is called for meanwhile is watched from then on."""
        token = watching.set(self._watch)
        try:
            yield
        finally:
            watching.reset(token)

    def _watch(self, client: httpx.AsyncClient) -> None:
        async def sent(request: httpx.Request) -> None:
            self.sent += 1
            request.extensions[_SENT] = time.perf_counter()

        async def answered(response: httpx.Response) -> None:
            seconds = time.perf_counter() - response.request.extensions[_SENT]
            self._upstream.labels(f"{response.status_code // 100}xx").observe(seconds)

        client.event_hooks["request"].append(sent)
        client.event_hooks["response"].append(answered)

    @contextmanager
    def listening(self, host: str, port: int) -> Iterator[None]:
        """Answers on a thread of its own. Raises OSError when the port cannot be had."""
        server, thread = start_http_server(port, host, self.registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
