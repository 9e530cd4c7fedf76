"""Consent: what an application asks for, in words; the person's decision; the way back to the application."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import structlog
from starlette.responses import Response

from stytch_mcp.signin.authorization import AuthorizationRequest
from stytch_mcp.signin.cookies import Session, Transaction
from stytch_mcp.signin.people import NotAdmitted
from stytch_mcp.signin.site import SAFE, Stop, Visit, gone
from stytch_mcp.signin.stytch import Answered, Asked, Down, Rejected

BUILT_IN = {
    "openid": "Know who you are",
    "profile": "See your name and picture",
    "email": "See your e-mail address",
    "phone": "See your phone number",
    "offline_access": "Stay connected without asking you again, until you disconnect it",
    "full_access": "Do everything that you can do",
}
MARKS = {"full_access": "changes", "offline_access": "stays"}

log = structlog.get_logger("stytch_mcp.signin")


async def consent(visit: Visit) -> Response:
    """The third screen, and its answer. Who has allowed the same before is not asked again."""
    transaction, session = visit.transaction, visit.session
    request = transaction.request
    if request is None:
        return visit.go("/oauth/connections")
    if session is None:
        return _log_in_first(visit, transaction, request)
    try:
        asked, grantable = await _ask(visit, session, request)
    except Rejected as rejected:
        return _rejected(visit, transaction, request, rejected)
    if not visit.site.people.admits(asked.user):
        await visit.site.people.log_out(session.token)
        raise NotAdmitted(asked.user)
    if visit.request.method in SAFE:
        if not asked.consent_required and grantable:
            return await _decide(visit, session, request, asked, grantable, "known")
        if "none" in request.prompts:
            raise _silent("you have not allowed it yet")
        return _third(visit, session, request, asked, grantable)
    return await _answer(visit, session, request, asked, grantable)


async def _answer(
    visit: Visit, session: Session, request: AuthorizationRequest, asked: Asked, grantable: list[str]
) -> Response:
    """What the person said to the question that they saw; if it is another one now, they are asked anew."""
    decision = visit.form.get("decision")
    if decision == "allow" and grantable:
        if visit.form.get("question") != _question(session, asked, grantable):
            return _third(visit, session, request, asked, grantable)
        return await _decide(visit, session, request, asked, grantable, "allow")
    if decision == "deny":
        return await _decide(visit, session, request, asked, grantable, "deny")
    raise gone()


async def _ask(visit: Visit, session: Session, request: AuthorizationRequest) -> tuple[Asked, list[str]]:
    """The question, and those of the scopes that can be granted. The others are left out of what is asked for."""
    asked = await visit.site.stytch.ask(session.token, request, request.scopes)
    grantable = [name for name, _, is_grantable in asked.scopes if is_grantable]
    if asked.consent_required and grantable and len(grantable) < len(asked.scopes):
        # What the person was asked the last time is what could be granted.
        again = await visit.site.stytch.ask(session.token, request, grantable)
        asked = Asked(asked.user, asked.client_id, asked.client_name, again.consent_required, asked.scopes)
    return asked, grantable


async def _decide(
    visit: Visit,
    session: Session,
    request: AuthorizationRequest,
    asked: Asked,
    grantable: list[str],
    decision: Literal["allow", "deny", "known"],
) -> Response:
    """Hands in the decision, once per transaction. `known`: it was taken before, and Stytch says that it still holds.

    Then it is handed in as "no", as Stytch's own component does: that counts for nothing while it holds, and denies if
    it was taken back a moment ago.
    """
    tx = visit.transaction.id
    if not visit.site.decided.take(tx):
        raise gone()
    try:
        answered = await visit.site.stytch.answer(
            session.token,
            request,
            # Whoever can be granted nothing can still deny what was asked for.
            grantable or request.scopes,
            granted=decision == "allow",
            force="consent" in request.prompts or decision == "deny",
        )
    except (Down, Rejected):
        visit.site.decided.give_back(tx)
        raise
    visit.jar.close(tx)
    has_code = answered.has_code or _carries_code(answered.redirect_uri)
    subject = asked.user.principal.subject
    if decision == "deny" or not has_code:
        visit.record("denial", subject=subject, client_id=asked.client_id)
    else:
        visit.record("consent", subject=subject, client_id=asked.client_id, scopes=grantable, decision=decision)
        if asked.client_id not in asked.user.since:
            day = datetime.fromtimestamp(visit.site.now(), UTC).date().isoformat()
            await keep_note(visit.site.stytch.remember(asked.user, asked.client_id, day))
    if decision == "deny" and has_code:
        # Stytch answers the denial of what was allowed before with success.
        raise Stop(200, "Denied", f"{asked.client_name} gets no access from this request.", "You can close this page.")
    return _back(visit, request, asked, answered, granted=has_code)


def _back(visit: Visit, request: AuthorizationRequest, asked: Asked, answered: Answered, *, granted: bool) -> Response:
    """The page that leads back: only to where Stytch says, and only if that is what was asked for."""
    wanted, given = urlsplit(request.redirect_uri), urlsplit(answered.redirect_uri)
    if (wanted.scheme, wanted.netloc, wanted.path) != (given.scheme, given.netloc, given.path):
        log.error("redirect", detail="Stytch names another redirect URI than the one that was asked for")
        raise Stop(502, "The way back is not clear", "Nothing was sent to the application.", "Connect again.")
    return visit.site.render(
        "back.html", client=asked.client_name, url=answered.redirect_uri, granted=granted, **_destination(request)
    )


async def keep_note(note: Awaitable[None]) -> None:
    """Since when: a convenience of the connections page, so a failure keeps nobody from anything."""
    try:
        await note
    except (Down, Rejected) as failure:
        log.warning("not remembered", detail=str(failure))


def _question(session: Session, asked: Asked, grantable: list[str]) -> str:
    """Whom was asked what. Another log-in in another tab, or another role, makes it another question."""
    seen = "\n".join([session.csrf, asked.client_id, asked.client_name, *grantable])
    return hashlib.sha256(seen.encode()).hexdigest()


def _third(
    visit: Visit, session: Session, request: AuthorizationRequest, asked: Asked, grantable: list[str]
) -> Response:
    words = [
        {
            "name": name,
            "text": text_of(visit, name, description),
            "grantable": name in grantable,
            "mark": mark_of(visit, name),
        }
        for name, description, _ in asked.scopes
    ]
    return visit.site.render(
        "consent.html",
        tx=visit.transaction,
        question=_question(session, asked, grantable),
        client=asked.client_name,
        scopes=words,
        some=bool(grantable),
        stays_here=request.stays_here,
        address=asked.user.address,
        **_destination(request),
    )


def text_of(visit: Visit, name: str, description: str = "") -> str:
    """A scope in words: the owner's, ours for what Stytch has built in, else Stytch's."""
    own = visit.site.scopes.get(name)
    return own.description if own is not None else BUILT_IN.get(name) or description or name


def mark_of(visit: Visit, name: str) -> str:
    """What a scope comes down to: it reads, it changes, or it stays."""
    own = visit.site.scopes.get(name)
    if own is not None:
        return "changes" if own.changes else "reads"
    return MARKS.get(name, "reads")


def _destination(request: AuthorizationRequest) -> dict[str, Any]:
    return {"host": request.redirect_host, "scheme": request.redirect_scheme}


def _carries_code(url: str) -> bool:
    parts = urlsplit(url.replace("?", "&"))  # one `?` or two, as a third party saw it
    pairs = parse_qsl(f"{parts.path}&{parts.query}&{parts.fragment}", keep_blank_values=True)
    return any(name == "code" for name, _ in pairs)


def _log_in_first(visit: Visit, transaction: Transaction, request: AuthorizationRequest) -> Response:
    if "none" in request.prompts:
        raise _silent("you are not logged in")
    return visit.go(f"/oauth/login/{transaction.id}")


def _silent(why: str) -> Stop:
    return Stop(
        400,
        "The application asked wrongly",
        f"prompt is none: it wants an answer without a question to you, but {why}.",
        "Connect again from the application.",
    )


def _rejected(visit: Visit, transaction: Transaction, request: AuthorizationRequest, rejected: Rejected) -> Response:
    """Stytch does not know the session, or does not vouch for the request: then nothing goes to its redirect URI."""
    if rejected.session_is_over:
        visit.jar.set_session(None)
        return _log_in_first(visit, transaction, request)
    reasons = {
        "connected_app_not_found": "client_id names no application that is known here.",
        "connected_app_supplied_redirect_url_not_found_in_client": "redirect_uri is not one of the application's own.",
        "connected_app_misconfigured_client": "client_id leads to a document that does not describe an application.",
        "oauth_invalid_scope_requested": "scope has a name that does not exist here.",
    }
    log.info("request rejected", kind=rejected.kind, request_id=visit.request_id)
    raise Stop(
        400,
        "This application cannot be connected",
        reasons.get(rejected.kind, f"The log-in service refused the request: {rejected.kind[:60]}."),
        "Nothing was sent to it.",
    )
