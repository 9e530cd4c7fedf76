"""Your connections: the applications that a person has allowed, each of which can be disconnected; logging out."""

from __future__ import annotations

from starlette.responses import Response

from stytch_mcp.signin.consent import keep_note, mark_of, text_of
from stytch_mcp.signin.cookies import Session
from stytch_mcp.signin.login import log_out
from stytch_mcp.signin.site import SAFE, Visit
from stytch_mcp.signin.stytch import Rejected, shown

PATH = "/oauth/connections"


async def connections(visit: Visit) -> Response:
    """`/oauth/connections`: the list, and taking one out of it."""
    session = visit.jar.session
    if session is None:
        return _log_in_first(visit)
    if visit.request.method not in SAFE:
        visit.check(session.csrf)
        return await _disconnect(visit, session)
    return await _list(visit, session)


async def leave(visit: Visit) -> Response:
    """`POST /oauth/logout`."""
    session = visit.jar.session
    if session is not None:
        visit.check(session.csrf)
        await log_out(visit)
    return visit.site.render(
        "message.html",
        title="You are logged out",
        sentence="Applications that you allowed stay connected.",
        way_out="",
        again=(PATH, "Log in again"),
    )


async def _list(visit: Visit, session: Session) -> Response:
    try:
        user = await visit.site.stytch.who(session.token)
    except Rejected as rejected:
        if rejected.session_is_over:
            return _log_in_first(visit)
        raise
    apps = [
        {
            "id": app.connected_app_id,
            "name": shown(app.name) or app.connected_app_id,
            "since": user.since.get(app.connected_app_id),
            "scopes": [
                {"text": text_of(visit, name), "mark": mark_of(visit, name)} for name in app.scopes_granted.split()
            ],
        }
        for app in await visit.site.stytch.connections(user.principal.subject)
    ]
    return visit.site.render("connections.html", apps=apps, address=user.address, csrf=session.csrf)


async def _disconnect(visit: Visit, session: Session) -> Response:
    """Only what is in the person's own list: the form names it, Stytch decides whose it is."""
    try:
        user = await visit.site.stytch.who(session.token)
    except Rejected:
        return _log_in_first(visit)
    subject, wanted = user.principal.subject, visit.form.get("app", "")
    if wanted in [app.connected_app_id for app in await visit.site.stytch.connections(subject)]:
        await visit.site.stytch.disconnect(subject, wanted)
        visit.record("disconnect", subject=subject, client_id=wanted)
        if wanted in user.since:
            await keep_note(visit.site.stytch.forget(user, wanted))
    return visit.go(PATH)


def _log_in_first(visit: Visit) -> Response:
    visit.jar.set_session(None)
    return visit.go(f"/oauth/login/{visit.jar.open_transaction(None).id}")
