"""The routes of the sign-in page, made from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp.protect.remote import Clock
from stytch_mcp.protect.scopes import Scope
from stytch_mcp.settings import Settings
from stytch_mcp.signin import connections, consent, login
from stytch_mcp.signin.cookies import OPEN_SECONDS, Sealer
from stytch_mcp.signin.limits import Once
from stytch_mcp.signin.people import People
from stytch_mcp.signin.site import HEADERS, Site
from stytch_mcp.signin.stytch import Stytch

STYLE_SECONDS = 300


@dataclass(frozen=True)
class Pages:
    """All pages, and what to close at the end."""

    app: Starlette
    stytch: Stytch


def pages(settings: Settings, title: str, scopes: Iterable[Scope], *, now: Clock, clock: Clock) -> Pages:
    """The pages of a server with these settings."""
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    assert settings.stytch_secret is not None
    stytch = Stytch(
        domain=settings.stytch_domain,
        project_id=settings.stytch_project_id,
        secret=settings.stytch_secret.get_secret_value(),
    )
    live = settings.stytch_project_id.startswith("project-live-")
    site = Site(
        title=title,
        origin=settings.public_url,
        methods=settings.signin_methods,
        scopes={scope.name: scope for scope in scopes},
        public_token=settings.stytch_public_token or "",
        proxies=settings.trusted_proxies,
        stytch=stytch,
        people=People(stytch, settings.rules, live=live, now=now, clock=clock),
        sealer=Sealer([value.get_secret_value() for value in settings.signin_secret], now),
        decided=Once(2 * OPEN_SECONDS, clock),
        now=now,
    )
    app = Starlette(routes=routes(site), exception_handlers={HTTPException: site.no_page})
    app.router.redirect_slashes = False
    return Pages(app, stytch)


def routes(site: Site) -> list[Route]:
    """Every path of the page; all of them are under /oauth/."""
    both = ["GET", "POST"]
    return [
        Route("/oauth/authorize", site.endpoint(login.authorize)),
        Route("/oauth/login/{tx}", site.endpoint(login.login), methods=both),
        Route("/oauth/sent/{tx}", site.endpoint(login.sent), methods=both),
        Route("/oauth/with/{provider}/{tx}", site.endpoint(login.provider)),
        Route("/oauth/callback", site.endpoint(login.callback)),
        Route("/oauth/switch/{tx}", site.endpoint(login.switch), methods=["POST"]),
        Route("/oauth/consent/{tx}", site.endpoint(consent.consent), methods=both),
        Route(connections.PATH, site.endpoint(connections.connections), methods=both),
        Route("/oauth/logout", site.endpoint(connections.leave), methods=["POST"]),
        Route("/oauth/style.css", _style),
    ]


async def _style(_: Request) -> Response:
    text = files("stytch_mcp.signin").joinpath("style.css").read_bytes()
    return Response(
        text, headers={**HEADERS, "Cache-Control": f"public, max-age={STYLE_SECONDS}"}, media_type="text/css"
    )
