"""Messages, headers and settings that are right: what hostile ones are made from."""

from __future__ import annotations

from typing import Any

from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET
from tests.fuzz.server import ACCESS_DOMAIN, AUD_TAG, OIDC_ISSUER, PUBLIC_URL, SIGNIN_SECRET, WORKOS_DOMAIN

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
    "progressToken": 1,
}
CALL = {"name": "echo", "arguments": {"text": "hello", "times": 2, "place": {"x": 1}}, "_meta": META}
MESSAGES: tuple[dict[str, Any], ...] = tuple(
    {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    for method, params in (
        ("tools/call", CALL),
        ("tools/call", {**CALL, "name": "write"}),
        ("tools/list", {"cursor": "1", "_meta": META}),
        ("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a"}}),
        ("notifications/initialized", {}),
        ("notifications/cancelled", {"requestId": 1, "reason": "so"}),
        ("ping", {}),
        ("server/discover", {"_meta": META}),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": META}),
        ("resources/read", {"uri": "notes://1", "_meta": META}),
        ("prompts/get", {"name": "a", "arguments": {}, "_meta": META}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "b", "value": "c"}}),
        ("logging/setLevel", {"level": "debug"}),
        ("tasks/get", {"taskId": "1", "_meta": META}),
    )
)
OTHER_HEADERS = (
    b"origin",
    b"cookie",
    b"content-length",
    b"content-encoding",
    b"transfer-encoding",
    b"mcp-session-id",
    b"last-event-id",
    b"mcp-param-text",
    b"cf-access-jwt-assertion",
    b"x-forwarded-for",
    b"cf-connecting-ip",
    b"traceparent",
    b"access-control-request-method",
    b"sec-fetch-site",
    b"range",
    b"expect",
    b"upgrade",
)


SETTINGS = {
    b"PUBLIC_URL": PUBLIC_URL.encode(),
    b"PORT": b"8000",
    b"HOST": b"127.0.0.1",
    b"METRICS_PORT": b"9000",
    b"DRAIN_SECONDS": b"1",
    b"LOG_FORMAT": b"json",
    b"MAX_BODY_BYTES": b"4096",
    b"OTEL_EXPORTER_OTLP_ENDPOINT": b"http://127.0.0.1:4318",
    b"ALLOWED_ORIGINS": b"https://a.example,https://b.example:8443",
    b"TRUSTED_PROXIES": b"127.0.0.1,172.16.0.0/12,fd00::/8",
    b"SERVE_AS_METADATA": b"true",
    b"AUTH_ISSUERS": b"stytch,workos,oidc",
    b"AUTH_MODE": b"oauth",
    b"SCOPE_MODE": b"custom",
    b"REQUIRED_SCOPES": b"notes:read",
    b"ALLOWED_USERS": b"user-live-1",
    b"ALLOWED_EMAILS": b"ada@example.com",
    b"ALLOWED_EMAIL_DOMAINS": b"example.com",
    b"ALLOWED_ORGANIZATIONS": b"organization-live-1",
    b"BEARER_TOKENS": b"ci|" + b"0" * 64 + b"|notes:read|2027-12-31",
    b"STYTCH_PROJECT_ID": PROJECT_ID.encode(),
    b"STYTCH_SECRET": SECRET.encode(),
    b"STYTCH_PUBLIC_TOKEN": b"public-token-live-1",
    b"STYTCH_DOMAIN": DOMAIN.encode(),
    b"STYTCH_AUDIENCE": b"project",
    b"STYTCH_REVOCATION_SECONDS": b"60",
    b"SIGNIN_METHODS": b"email-code,google",
    b"SIGNIN_SECRET": SIGNIN_SECRET.encode(),
    b"OIDC_ISSUER": OIDC_ISSUER.encode(),
    b"OIDC_AUDIENCE": b"notes",
    b"WORKOS_DOMAIN": WORKOS_DOMAIN.encode(),
    b"WORKOS_AUDIENCE": b"notes",
    b"WORKOS_DEFAULT_SCOPES": b"notes:read",
    b"WORKOS_API_KEY": b"sk_canary-of-workos",
    b"CF_ACCESS_TEAM_DOMAIN": ACCESS_DOMAIN.encode(),
    b"CF_ACCESS_AUD": AUD_TAG.encode(),
    b"CF_ACCESS_SERVICE_TOKENS": b"ci.access",
    b"CF_ACCESS_SCOPES": b"notes:read",
}
