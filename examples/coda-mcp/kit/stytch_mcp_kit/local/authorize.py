"""What a person allows a client: the questions of a consent page, the answer, and the code that carries it."""

import re
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.clients import public_object
from stytch_mcp_kit.local.config import BUILT_IN, FULL_ACCESS
from stytch_mcp_kit.local.members import find_member
from stytch_mcp_kit.local.registration import check_redirect, resolve_client, with_params
from stytch_mcp_kit.local.sessions import find_session, person
from stytch_mcp_kit.local.state import (
    Client,
    Code,
    Grant,
    Project,
    User,
    new_secret,
)
from stytch_mcp_kit.local.users import find_user, user_by_hint
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, is_b2b, json_fields

WITHOUT_SCOPE = ["openid", "email", "profile"]
"""What Stytch's browser component asks for when the client named no scope."""


def check_requested(project: Project, client: Client, scopes: list[str]) -> list[str]:
    """The scopes in order, each once. UNCONFIRMED: the status for an unknown one."""
    for scope in scopes:
        known = scope in BUILT_IN or scope in project.config.scopes
        if not known and not (scope == FULL_ACCESS and client.first_party and client.full_access_allowed):
            raise ApiError(400, "oauth_invalid_scope_requested", f"The scope {scope!r} cannot be requested.")
    return list(dict.fromkeys(scopes))


def grantable(project: Project, user: User, scope: str) -> bool:
    """Built-in scopes always; a custom scope if the user's roles hold all of its permissions."""
    return scope not in project.config.scopes or user.may(scope)


def scope_results(project: Project, user: User, scopes: list[str]) -> list[dict[str, Any]]:
    described = {**BUILT_IN, FULL_ACCESS: "Do everything you can do", **project.config.scopes}
    return [
        {
            "scope": scope,
            "description": described[scope],
            "is_grantable": grantable(project, user, scope),
        }
        for scope in scopes
    ]


CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass
class Question:
    """An authorization request (RFC 6749 section 4.1.1) whose client and redirect URI are known good."""

    client: Client
    redirect_uri: str
    scopes: list[str]
    prompt: str | None = None
    state: str | None = None
    nonce: str | None = None
    challenge: str | None = None
    """RFC 7636, S256: no other method exists at Stytch, so none is ever transmitted."""
    resources: list[str] = field(default_factory=list)


async def ask(
    project: Project,
    client_id: str,
    redirect_uri: str,
    response_type: str,
    scopes: list[str],
    prompt: str | None,
) -> Question:
    """The checks that come before any redirect; each refusal is an `ApiError`, never a redirect."""
    client = await resolve_client(project, client_id)
    check_redirect(client, redirect_uri, project.settings)
    if response_type != "code":
        raise bad_request("response_type must be code.")
    return Question(client, redirect_uri, check_requested(project, client, scopes), prompt)


def consent_required(project: Project, user: User, question: Question) -> bool:
    """Third-party clients ask once per set of scopes; `prompt=consent` and offline access ask each time."""
    client = question.client
    if question.prompt == "consent":
        return True
    if "offline_access" in question.scopes:
        return not (client.first_party and client.bypass_consent_for_offline_access)
    if client.first_party:
        return False
    return frozenset(question.scopes) not in project.consents.get((user.user_id, client.client_id), set())


def decide(project: Project, user: User, question: Question, consent_granted: bool) -> tuple[str, str | None]:
    """Where to send the browser, and the code if there is one.

    UNCONFIRMED: the answer when none of the requested scopes can be granted; here 400.
    """
    client, settings = question.client, project.settings
    if not consent_granted and consent_required(project, user, question):
        refused = {"error": "access_denied", "error_description": "The user denied the request."}
        return with_params(question.redirect_uri, {**refused, "state": question.state}, settings), None
    if client.public and question.challenge is None:
        raise ApiError(400, "pkce_required_for_idp_authorization_flow", "Public clients must use PKCE.")
    if question.challenge is not None and not CHALLENGE.fullmatch(question.challenge):
        raise ApiError(400, "invalid_pkce_code_challenge", "code_challenge is not a SHA-256 in base64url.")
    scopes = [scope for scope in question.scopes if grantable(project, user, scope)]
    if question.scopes and not scopes:
        raise ApiError(400, "oauth_invalid_scope_requested", "None of the scopes can be granted.")
    grant = Grant(client.client_id, user.user_id, scopes, question.resources, question.nonce)
    project.grants.append(grant)
    consents = project.consents.setdefault((user.user_id, client.client_id), set())
    consents.add(frozenset(question.scopes))
    code = new_secret()
    expires_at = project.now() + settings.code_seconds
    project.codes[code] = Code(grant, question.redirect_uri, question.challenge, expires_at)
    return with_params(question.redirect_uri, {"code": code, "state": question.state}, settings), code


def subject(project: Project, fields: Fields, b2b: bool) -> User:
    """Who answers: exactly one of an id (B2B: organization and member), a session token, a session JWT."""
    by_id = "member_id" if b2b else "user_id"
    given = [name for name in (by_id, "session_token", "session_jwt") if name in fields]
    if len(given) != 1:
        raise bad_request(f"Exactly one of {by_id}, session_token and session_jwt is required.")
    if given != [by_id]:
        return find_session(project, fields, b2b)[1]
    if b2b:
        return find_member(project, fields.text("organization_id"), fields.text("member_id"))
    return find_user(project, fields.text("user_id"))


def check_allowed(user: User, client: Client) -> None:
    """A member may use an app only where the organization lets its members. UNCONFIRMED: the status."""
    if user.organization is None:
        return
    party = "first_party" if client.first_party else "third_party"
    rule = getattr(user.organization, f"{party}_connected_apps_allowed_type")
    listed = client.client_id in getattr(user.organization, f"allowed_{party}_connected_apps")
    if rule == "NOT_ALLOWED" or (rule == "RESTRICTED" and not listed):
        raise ApiError(403, "connected_app_not_allowed_for_org", "The organization does not allow this Connected App.")


async def question_of(project: Project, fields: Fields) -> Question:
    return await ask(
        project,
        client_id=fields.text("client_id"),
        redirect_uri=fields.text("redirect_uri"),
        response_type=fields.text("response_type"),
        scopes=fields.texts("scopes"),
        prompt=fields.text_or_none("prompt"),
    )


async def start(project: Project, request: Request) -> Response:
    """What the page has to ask; nothing is decided yet."""
    fields = await json_fields(request)
    user = subject(project, fields, is_b2b(request))
    question = await question_of(project, fields)
    check_allowed(user, question.client)
    body = {
        "client": public_object(question.client),
        "consent_required": consent_required(project, user, question),
        "scope_results": scope_results(project, user, question.scopes),
    }
    return answer({**body, **person(user)})


async def submit(project: Project, request: Request) -> Response:
    """The redirect that carries the answer, 200 also for a refusal. `code_challenge` is S256 (RFC 7636)."""
    fields = await json_fields(request)
    user = subject(project, fields, is_b2b(request))
    question = await question_of(project, fields)
    check_allowed(user, question.client)
    question.state = fields.text_or_none("state")
    question.nonce = fields.text_or_none("nonce")
    question.challenge = fields.text_or_none("code_challenge")
    question.resources = fields.texts("resources", [])
    redirect_uri, code = decide(project, user, question, fields.flag("consent_granted"))
    return answer({"redirect_uri": redirect_uri, **({"authorization_code": code} if code else {})})


ROUTES = [
    Route(f"{prefix}/idp/oauth/authorize{suffix}", backend(handler), methods=["POST"])
    for prefix in ("/v1", "/v1/b2b")
    for suffix, handler in (("/start", start), ("", submit))
]


async def auto_approve(project: Project, request: Request) -> Response:
    """Answer an authorization request at once: 302 with `code` and `state` (RFC 6749 section 4.1).

    `login_hint` names the user by e-mail address, else the setting `auto_login`; the setting `auto_consent`
    off denies. What makes the redirect URI untrustworthy is answered with 4xx JSON, without a redirect.
    """
    query = Fields(request.query_params)
    question = await ask(
        project,
        client_id=query.text("client_id"),
        redirect_uri=query.text("redirect_uri"),
        response_type=query.text("response_type", "code"),
        scopes=query.text("scope", " ".join(WITHOUT_SCOPE)).split(),
        prompt=query.text_or_none("prompt"),
    )
    question.state = query.text_or_none("state")
    question.nonce = query.text_or_none("nonce")
    question.challenge = query.text_or_none("code_challenge")
    question.resources = request.query_params.getlist("resource")
    if query.text("code_challenge_method", "S256") != "S256":
        refused = {"error": "invalid_request", "error_description": "code_challenge_method must be S256."}
        location = with_params(question.redirect_uri, {**refused, "state": question.state}, project.settings)
        return RedirectResponse(location, 302)
    user = user_by_hint(project, query.text("login_hint", project.settings.auto_login))
    check_allowed(user, question.client)
    location, _ = decide(project, user, question, consent_granted=project.settings.auto_consent)
    return RedirectResponse(location, 302, headers={"cache-control": "no-store"})
