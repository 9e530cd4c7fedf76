"""What a server answers, from the routes of applications that are really put together."""

import time
from typing import Any

from markdown_text import code, page, table, text

STYTCH = {
    "public_url": "https://notes-mcp.example.com",
    "stytch_project_id": "project-test-00000000-0000-4000-8000-000000000000",
    "stytch_domain": "https://login.example.com",
    "stytch_secret": "s" * 32,
    "signin_secret": "s" * 32,
    "allowed_emails": "ada@example.com",
    "upstream_token": "t",
}
MCP = (
    "/mcp",
    "`GET`, `POST`, `DELETE`",
    "A valid token",
    "MCP, Streamable HTTP, every revision. `GET` and `DELETE` with a token: 405.",
)
WORDS = {
    "/health": "Always 200. `oauth_compliant` says whether clients can log in, `reason` what keeps them from it.",
    "/ready": "200 once tokens can be judged, else 503. For load balancers.",
    "/.well-known/oauth-protected-resource/mcp": "Protected resource metadata (RFC 9728), at the place for `/mcp`.",
    "/.well-known/oauth-protected-resource": "The same document, for clients that look at the root.",
    "/.well-known/oauth-authorization-server": "The first issuer's metadata (RFC 8414), unchanged, for clients of the "
    "2025-03-26 revision. `SERVE_AS_METADATA=false` takes it away.",
    "/oauth/authorize": "The page to set as Authorization URL in Stytch: checks the request and begins the log-in.",
    "/oauth/login/{tx}": "Who are you: e-mail address, or another way to log in.",
    "/oauth/sent/{tx}": "The code that was sent.",
    "/oauth/with/{provider}/{tx}": "On to Google or GitHub, by Stytch.",
    "/oauth/callback": "Back from a link in a mail, from Google or from GitHub.",
    "/oauth/switch/{tx}": "Log in as somebody else.",
    "/oauth/consent/{tx}": "Allow or deny.",
    "/oauth/connections": "Your connections: which applications somebody has let in; disconnect one.",
    "/oauth/logout": "Log out of the sign-in page.",
    "/oauth/style.css": "The look of these pages.",
    "/metrics": "Figures for Prometheus, with the extra `metrics`. Never route it to the outside.",
}


def pages() -> dict[str, str]:
    """reference/endpoints.md"""
    from notes_mcp.server import SERVER
    from stytch_mcp.app import create_app
    from stytch_mcp.signin import PATHS, routes

    settings = SERVER.settings(_env_file=None, **STYTCH)
    app = create_app(settings, SERVER)
    signin = routes.pages(settings, SERVER.title, SERVER.scopes, now=time.time, clock=time.monotonic).app.routes
    rows: list[Any] = [MCP]
    for route in [*(each for each in app.routes if each.path != PATHS), *signin]:
        path = route.path
        methods = ", ".join(code(each) for each in sorted(set(route.methods) - {"HEAD"}))
        rows.append((code(path), methods, _who(path), WORDS[path]))
    rows[0] = (code(MCP[0]), *MCP[1:])
    order = (
        "Every request first passes the gate, in this order; the first rule that it breaks gives the answer, with a "
        "[reason code](reason-codes.md) in the log: `/health` and `/ready` are exempt, then `Host` (421), `Origin` (403), "
        "CORS preflight (204), token (401 or 503), access policy (403), size of the body (413), scopes (403). No byte of a body is "
        "read before the token is accepted."
    )
    content = [order, table(["Path", "Methods", "Who", "What"], rows)]
    content.append(
        "With `AUTH_MODE=cloudflare-access` the `.well-known` and `/oauth/` paths answer 404."
        if "cloudflare" in str(SERVER.settings.model_fields["auth_mode"].annotation)
        else text("")
    )
    return {
        "docs/reference/endpoints.md": page(
            "Endpoints", "Every path that a server answers.", ["operation"], *filter(None, content)
        )
    }


def _who(path: str) -> str:
    return "A browser" if path.startswith("/oauth/") else "Anyone"
