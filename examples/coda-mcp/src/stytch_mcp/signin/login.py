"""Logging in: an address, then a code or a link; or another provider. Ends at the transaction's consent page."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import secrets
from typing import Final

from starlette.responses import RedirectResponse, Response

from stytch_mcp.protect.policy import fold
from stytch_mcp.signin import authorization
from stytch_mcp.signin.cookies import Login, Session, Transaction
from stytch_mcp.signin.people import RESEND_SECONDS, TooManyTries, TooOften
from stytch_mcp.signin.site import HEADERS, SAFE, Stop, Visit, gone
from stytch_mcp.signin.stytch import CODE_MINUTES, LoggedIn, Rejected

MAIL = ("email-code", "email-link")
PROVIDERS = {"google": "Google", "github": "GitHub"}
TOKEN_TYPES = {"magic_links": ("email-link",), "oauth": tuple(PROVIDERS)}
MAX_ADDRESS = 254
MAX_TOKEN = 1024

NO_ADDRESS: Final = "That is not an e-mail address. Example: ada@example.com"
NO_CODE: Final = "The code has six digits."
WRONG_CODE: Final = "That code is wrong or has expired. The newest e-mail has the one that counts."
TOO_MANY: Final = "Too many wrong codes. Ask for a new one."
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\]+")
_CODE = re.compile(r"[0-9]{6}")


async def authorize(visit: Visit) -> Response:
    """`GET /oauth/authorize`: the URL that Stytch advertises as authorization endpoint."""
    try:
        request = authorization.parse(visit.request.scope["query_string"])
    except authorization.BadRequest as bad:
        raise Stop(
            400,
            "The application asked wrongly",
            f"{bad.parameter} {bad.sentence}",
            "This is for the makers of the application to mend.",
        ) from None
    transaction = visit.jar.open_transaction(request)
    if visit.jar.session is not None or "none" in request.prompts:
        return visit.go(f"/oauth/consent/{transaction.id}")
    return visit.go(f"/oauth/login/{transaction.id}")


async def login(visit: Visit) -> Response:
    """The first screen, and what is entered there. It names nothing that the application says about itself."""
    transaction = visit.transaction
    if visit.request.method in SAFE:
        return _first(visit, transaction)
    address, kind = visit.form.get("email", "").strip(), visit.form.get("kind", "")
    if kind not in MAIL or kind not in visit.site.methods:
        raise gone()
    if len(address) > MAX_ADDRESS or not address.isprintable() or not _ADDRESS.fullmatch(address):
        return _first(visit, transaction, address[:MAX_ADDRESS], NO_ADDRESS)
    try:
        await _send(visit, transaction, kind, address)
    except TooOften as wait:
        return _first(visit, transaction, address, _later(wait))
    return visit.go(f"/oauth/sent/{transaction.id}")


async def sent(visit: Visit) -> Response:
    """The second screen: where something was sent, and for a code the field for it."""
    transaction = visit.transaction
    begun = visit.jar.login(transaction.id)
    if begun is None or begun.kind not in MAIL:
        return visit.go(f"/oauth/login/{transaction.id}")
    if visit.request.method in SAFE:
        return _second(visit, transaction, begun)
    if visit.form.get("action") == "resend":
        return await _resend(visit, transaction, begun)
    code = re.sub(r"[\s-]", "", visit.form.get("code", ""))
    if begun.kind != "email-code" or not _CODE.fullmatch(code):
        return _second(visit, transaction, begun, NO_CODE)
    try:
        logged_in = await visit.site.people.check_code(begun, code, visit.origin)
    except Rejected:
        visit.record("refusal", reason="wrong_code", address=masked(begun.address))
        return _second(visit, transaction, begun, WRONG_CODE)
    except TooManyTries:
        visit.record("refusal", reason="too_many_tries", address=masked(begun.address))
        return _second(visit, transaction, begun, TOO_MANY)
    except TooOften as wait:
        return _second(visit, transaction, begun, _later(wait))
    return _enter(visit, transaction, logged_in, "email-code")


async def provider(visit: Visit) -> Response:
    """Off to another provider. A link and no form: the browser leaves this site."""
    transaction, name = visit.transaction, visit.request.path_params["provider"]
    if name not in PROVIDERS or name not in visit.site.methods:
        raise gone()
    verifier, challenge = _pkce(visit)
    visit.jar.set_login(transaction.id, Login(name, "", "", verifier, visit.site.now()))
    url = visit.site.stytch.provider_url(
        name, public_token=visit.site.public_token, url=visit.site.callback_url, challenge=challenge
    )
    return RedirectResponse(url, 302, HEADERS)


async def callback(visit: Visit) -> Response:
    """`GET /oauth/callback`: back from a link or a provider, with a token that is good in this browser alone.

    The URL cannot say which tab it belongs to (Stytch compares it as a whole), so the log-ins that have begun here
    share one verifier, and the newest that fits goes on.
    """
    query = visit.request.query_params
    kind, token = query.get("stytch_token_type", ""), query.get("token", "")
    begun = [pair for pair in visit.jar.logins() if pair[1].kind in TOKEN_TYPES.get(kind, ())]
    if not begun or not 0 < len(token) <= MAX_TOKEN:
        raise Stop(
            400,
            "Open the link where you asked for it",
            "This browser did not ask for it, or the log-in there is over. The link has not been used up.",
            "Copy it into the browser in which you started, or start again in the application.",
        )
    visit.tx = begun[0][0].id
    try:
        logged_in = await visit.site.people.check_token(kind, token, begun[0][1].verifier, visit.origin)
    except Rejected:
        visit.record("refusal", reason="wrong_token", method=begun[0][1].kind)
        raise Stop(
            400,
            "That log-in is over",
            "It was used already, it has expired, or a newer one took its place.",
            "Start again.",
            (f"/oauth/login/{visit.tx}", "Log in"),
        ) from None
    addresses = {"", *map(fold, logged_in.user.principal.emails)}
    transaction, login = next((pair for pair in begun if pair[1].address in addresses), begun[0])
    return _enter(visit, transaction, logged_in, login.kind)


async def switch(visit: Visit) -> Response:
    """Log out within a transaction, to log in as somebody else."""
    transaction = visit.transaction
    await log_out(visit)
    return visit.go(f"/oauth/login/{transaction.id}")


async def log_out(visit: Visit) -> None:
    """Ends the session here and at Stytch."""
    session = visit.jar.session
    if session is None:
        return
    visit.jar.set_session(None)
    await visit.site.people.log_out(session.token)
    visit.record("log_out", subject=session.user_id)


async def _send(visit: Visit, transaction: Transaction, kind: str, address: str) -> None:
    verifier, challenge = _pkce(visit)
    begun, admitted = await visit.site.people.send(
        kind, address, visit.origin, url=visit.site.callback_url, verifier=verifier, challenge=challenge
    )
    if not admitted:
        visit.record("refusal", reason="not_allowed", address=masked(address))
    visit.jar.set_login(transaction.id, begun)


async def _resend(visit: Visit, transaction: Transaction, begun: Login) -> Response:
    wait = math.ceil(begun.sent_at + RESEND_SECONDS - visit.site.now())
    if wait > 0:
        return _second(visit, transaction, begun, f"Wait {wait} more seconds before you ask again.")
    try:
        await _send(visit, transaction, begun.kind, begun.address)
    except TooOften as later:
        return _second(visit, transaction, begun, _later(later))
    return visit.go(f"/oauth/sent/{transaction.id}")


def _enter(visit: Visit, transaction: Transaction, logged_in: LoggedIn, method: str) -> Response:
    user = logged_in.user
    visit.jar.set_login(transaction.id, None)
    visit.jar.set_session(
        Session(
            logged_in.session_token,
            user.principal.subject,
            user.address,
            secrets.token_urlsafe(16),
            visit.site.now(),
        )
    )
    visit.record("log_in", subject=user.principal.subject, method=method)
    if transaction.request is None:
        visit.jar.close(transaction.id)
        return visit.go("/oauth/connections")
    return visit.go(f"/oauth/consent/{transaction.id}")


def _first(visit: Visit, transaction: Transaction, address: str = "", problem: str = "") -> Response:
    return visit.site.render(
        "login.html",
        422 if problem else 200,
        tx=transaction,
        mail=[kind for kind in visit.site.methods if kind in MAIL],
        providers={name: PROVIDERS[name] for name in visit.site.methods if name in PROVIDERS},
        address=address,
        problem=problem,
    )


def _second(visit: Visit, transaction: Transaction, begun: Login, problem: str = "") -> Response:
    return visit.site.render(
        "sent.html",
        422 if problem else 200,
        tx=transaction,
        with_code=begun.kind == "email-code",
        address=masked(begun.address),
        minutes=CODE_MINUTES,
        wait=RESEND_SECONDS,
        problem=problem,
    )


def _pkce(visit: Visit) -> tuple[str, str]:
    """The verifier of this browser and its challenge (RFC 7636 section 4)."""
    known = next((login.verifier for _, login in visit.jar.logins() if login.verifier), None)
    verifier = known or secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _later(wait: TooOften) -> str:
    return f"Too many attempts. Try again in {math.ceil(wait.seconds / 60)} min."


def masked(address: str) -> str:
    """An address as it may be shown and logged: its first letter and its domain."""
    local, _, domain = address.rpartition("@")
    return f"{local[0]}***@{domain}"
