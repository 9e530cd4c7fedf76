"""OpenTelemetry traces: the SDK makes a span of each message, this sends them on. With the extra `otel`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@contextmanager
def exporting(endpoint: str, name: str) -> Iterator[None]:
    """Sends spans to a collector (OTLP over HTTP) from a thread of its own; when left, those that are waiting too.

    The other OTEL_* variables of the environment hold as OpenTelemetry has them.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
