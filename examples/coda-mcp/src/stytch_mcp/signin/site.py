"""What all pages share: how a request is read and checked, how it is answered, what goes wrong and in which words."""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from stytch_mcp import audit
from stytch_mcp.protect.remote import Clock
from stytch_mcp.protect.scopes import Scope
from stytch_mcp.signin.cookies import Jar, Sealer, Session, Transaction
from stytch_mcp.signin.limits import Network, Once, client_address
from stytch_mcp.signin.people import NotAdmitted, People, TooManyTries, TooOften
from stytch_mcp.signin.stytch import Down, Rejected, Stytch

MOST_FORM_BYTES = 4096
MOST_FORM_FIELDS = 10
SAFE = ("GET", "HEAD")

# Chromium applies form-action to the redirects of a form as well, so no form ends at the client: a page leads there.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Stop(Exception):
    """The request ends with a page that says so. `way_out`: what to do next; `again`: a link of ours and its words."""

    def __init__(
        self, status: int, title: str, sentence: str, way_out: str = "", again: tuple[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.sentence = sentence
        self.way_out = way_out
        self.again = again


def gone() -> Stop:
    """The transaction is over, or was never here."""
    return Stop(
        400,
        "This request is closed",
        "It was answered already, it is older than 10 minutes, or it was started in another browser.",
        "Go back to the application and connect again.",
    )


def forged() -> Stop:
    """A form that none of our pages sent."""
    return Stop(
        403, "This form is not from here", "Nothing was changed.", "Go back to the application and connect again."
    )


@dataclass(frozen=True)
class Site:
    """The sign-in page of one server. `title` names it; `scopes` are the owner's words for what can be allowed."""

    title: str
    origin: str
    methods: Sequence[str]
    scopes: Mapping[str, Scope]
    public_token: str
    proxies: Sequence[Network]
    stytch: Stytch
    people: People
    sealer: Sealer
    decided: Once
    now: Clock

    @cached_property
    def _templates(self) -> Any:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - for those who see a page

        return Environment(
            loader=PackageLoader("stytch_mcp.signin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def callback_url(self) -> str:
        """Where links and other providers come back to: one of the project's Redirect URLs."""
        return f"{self.origin}/oauth/callback"

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page from a template."""
        text = self._templates.get_template(template).render(server=self.title, **values)
        return Response(text, status, HEADERS, "text/html")

    def endpoint(self, handler: Callable[[Visit], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A Starlette endpoint that answers every failure with a page."""

        async def endpoint(request: Request) -> Response:
            if request.method == "HEAD":
                # It asks for nothing to happen (RFC 9110 section 9.2.1), and our GET may hand in a decision.
                return Response(headers=HEADERS, media_type="text/html")
            visit = Visit(self, request)
            try:
                if request.method not in SAFE:
                    await visit.read_form()
                response = await handler(visit)
            except ClientDisconnect:
                return Response(status_code=400)
            except Stop as stop:
                response = self._stopped(stop)
            except NotAdmitted as refused:
                response = visit.not_admitted(refused)
            except (Down, TooOften, TooManyTries, Rejected) as failure:
                response = self._stopped(_stop_for(failure, visit.request_id))
            visit.jar.apply(response)
            return response

        return endpoint

    async def no_page(self, _: Request, error: Exception) -> Response:
        """What another address or method under /oauth/ gets."""
        assert isinstance(error, HTTPException)
        response = self._stopped(Stop(error.status_code, "There is no such page", "The address leads nowhere."))
        response.headers.update(error.headers or {})
        return response

    def _stopped(self, stop: Stop) -> Response:
        return self.render(
            "message.html",
            stop.status,
            title=stop.title,
            sentence=stop.sentence,
            way_out=stop.way_out,
            again=stop.again,
        )


class Visit:
    """One request to the page, with its cookies and its form."""

    def __init__(self, site: Site, request: Request) -> None:
        self.site = site
        self.request = request
        self.request_id = audit.new_request_id()
        self.jar = Jar(request, site.sealer, secure=site.origin.startswith("https://"))
        self.form: dict[str, str] = {}
        self.tx: str | None = request.path_params.get("tx")

    async def read_form(self) -> None:
        """Reads a small form that came from a page of ours, as far as the browser tells.

        Our pages send no referrer, so browsers send `Origin: null` with our own forms; so do strangers. What tells them
        apart is Sec-Fetch-Site, which no page can set; for browsers without it, the form's own secret, and the cookies,
        which other sites' forms do not carry.
        """
        headers = self.request.headers
        origins = headers.getlist("origin")
        if (
            origins not in ([], ["null"], [self.site.origin])
            or headers.get("sec-fetch-site", "same-origin") != "same-origin"
        ):
            raise forged()
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise forged()
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > MOST_FORM_BYTES:
                raise Stop(413, "Too much", "The form is larger than any of ours.")
        try:
            fields = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FORM_FIELDS
            )
        except ValueError:
            raise forged() from None
        self.form = dict(fields)

    @cached_property
    def origin(self) -> str | None:
        """Where the request came from, as far as TRUSTED_PROXIES tell."""
        return client_address(self.request, self.site.proxies)

    @cached_property
    def transaction(self) -> Transaction:
        """The open transaction of the path; a form must carry its secret. Raises Stop."""
        found = self.jar.transaction(self.tx or "")
        if found is None:
            raise gone()
        if self.request.method not in SAFE:
            self.check(found.csrf)
        return found

    def check(self, csrf: str) -> None:
        """Whether the form carries this secret. Raises Stop."""
        if not hmac.compare_digest(self.form.get("csrf", "").encode(), csrf.encode()):
            raise forged()

    @property
    def session(self) -> Session | None:
        """Who is logged in in this transaction: recently enough, if the application asks for a new log-in."""
        session = self.jar.session
        if session is None or self.transaction.request is None:
            return session
        fresh = {"login", "select_account"} & set(self.transaction.request.prompts)
        return None if fresh and session.since < self.transaction.opened_at else session

    def go(self, path: str) -> Response:
        """Moves on to another page of ours."""
        return RedirectResponse(path, 303, HEADERS)

    def record(self, event: audit.Event, **fields: str | float | list[str] | None) -> None:
        """Writes a line of the audit log."""
        audit.record(event, self.request_id, **fields)

    def not_admitted(self, refused: NotAdmitted) -> Response:
        """The page for a person whom no rule admits; they are logged out."""
        user = refused.user
        self.jar.set_session(None)
        self.record("refusal", subject=user.principal.subject, reason="not_allowed")
        return self.site.render(
            "message.html",
            403,
            title="You are not admitted here",
            sentence=f"You are logged in as {user.address}, but this server does not admit that account.",
            way_out="Ask the owner of the server to add it.",
            again=(f"/oauth/login/{self.tx}", "Use another account"),
        )


def _stop_for(failure: Exception, request_id: str) -> Stop:
    if isinstance(failure, TooOften):
        minutes = math.ceil(failure.seconds / 60)
        return Stop(429, "Too many attempts", f"Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.")
    if isinstance(failure, Down):
        return Stop(
            503,
            "Log-in is out of order",
            "The log-in service does not answer right now.",
            f"Go back and try again in a minute. If it stays so, tell the owner of the server: {request_id}.",
        )
    return Stop(
        400, "That did not work", "The log-in service refused it.", "Go back to the application and connect again."
    )
