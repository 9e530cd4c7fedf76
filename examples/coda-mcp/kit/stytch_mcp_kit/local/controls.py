"""`/_test/`: what tests do to the local project and Stytch has not. JSON in, JSON out.

| control | body or query | answer |
|---|---|---|
| `POST /_test/reset` | | all but the keys is as at start |
| `POST /_test/users` | a user (1) | `user_id`; of a member also `member_id`, `organization_id` |
| `DELETE /_test/users/{id}` | | `user_id` |
| `GET /_test/otp` | `?email=` | `code`, `method_id`, `magic_link`, each null where none is waiting |
| `POST /_test/keys/rotate` | `keep_old` (true): publish the old key too | `kid` |
| `POST /_test/clock` | `offset_seconds`, may be negative | `now` |
| `POST /_test/faults` | `{route: fault (2)}`; `*` in a route stands for anything | `faults`: the routes |
| `DELETE /_test/faults` | | takes all away, held requests go on |
| `POST /_test/mint` | a token (3) | `token` |
| `GET /_test/requests` | | `requests: [{method, path, status}]`, oldest first |
| `DELETE /_test/requests` | | forgets them |
| `GET /_test/settings` | | the switches, see `config.Settings` |
| `POST /_test/settings` | some of them | all of them |
| `GET /_test/authorize` | an authorization request, `login_hint` | 302, see `auto_approve` |

1. `email`, `verified` (true), `scopes` (all custom ones), `name: {first_name, last_name}`, `code` (always right for
   this user; without it random), `organization` (a slug: makes a member), `external_id`,
   `other_emails: [{email, verified}]`, `replace` (true: instead of those with the address).
2. `latency_seconds`, `hold` (wait until the faults are taken away), then `status`, `body` (text, or JSON),
   `content_type`, `redirect`; with none of these the usual answer. `times`: so often, then no more.
3. `kind` (access, session, m2m, id), `email`, `scope`, `client_id`, `resources`; `claims` and `header` are laid over,
   null removes; `key` (current, previous, foreign, hs256_public, none), `algorithm`.

With `Config.controls == "loopback"` they answer loopback callers only, and no page of another origin.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.authorize import auto_approve
from stytch_mcp_kit.local.config import Seed
from stytch_mcp_kit.local.faults import Fault
from stytch_mcp_kit.local.keys import SigningKey, new_private_key
from stytch_mcp_kit.local.mint import mint
from stytch_mcp_kit.local.registration import LOOPBACK
from stytch_mcp_kit.local.state import Email, Pending, Project, project_of
from stytch_mcp_kit.local.users import check_email
from stytch_mcp_kit.local.wire import ApiError, Endpoint, Fields, Handler, answer, bad_request, json_fields

LOOPBACK_CALLERS = ("127.0.0.1", "::1", "testclient")


def control(handler: Handler) -> Endpoint:
    """A control, for those whom `Config.controls` lets use it; others get 403, or 404 when they are off."""

    async def endpoint(request: Request) -> Response:
        project = project_of(request)
        if project.config.controls == "off":
            raise ApiError(404, "route_not_found", "Not Found")
        if project.config.controls == "loopback" and not from_loopback(project, request):
            raise ApiError(403, "controls_from_loopback_only", "Test controls answer loopback callers only.")
        return await handler(project, request)

    return endpoint


def from_loopback(project: Project, request: Request) -> bool:
    """A loopback peer that names this machine, so that no foreign web page gets through (DNS rebinding)."""
    if request.client is None or request.client.host not in LOOPBACK_CALLERS:
        return False
    here = (*LOOPBACK, urlsplit(project.config.domain).hostname)
    origin = request.headers.get("origin")
    return request.url.hostname in here and (origin is None or urlsplit(origin).hostname in here)


async def reset(project: Project, request: Request) -> Response:
    release_faults(project)
    project.reset()
    return answer()


async def seed_user(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    seed = Seed(
        email=check_email(fields.text("email")),
        verified=fields.flag("verified", True),
        scopes=tuple(fields.texts("scopes")) if "scopes" in fields else None,
        name={key: value for key, value in fields.mapping("name").items() if isinstance(value, str)},
        code=fields.text_or_none("code"),
        organization=fields.text_or_none("organization"),
        external_id=fields.text_or_none("external_id"),
    )
    unknown = set(seed.scopes or ()) - set(project.config.scopes)
    if unknown:
        raise bad_request(f"The project has no scope {', '.join(sorted(unknown))}.")
    others = fields.any("other_emails") or []
    if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
        raise bad_request("other_emails must be a list of objects.")
    more = [Email(Fields(other).text("email"), Fields(other).flag("verified", False)) for other in others]
    if fields.flag("replace", True):
        for old in list(project.users_by_email(seed.email)):
            project.remove_user(old.user_id)
    user = project.add_user(seed)
    user.emails += more
    if user.organization is None:
        return answer({"user_id": user.user_id})
    return answer(
        {
            "user_id": user.user_id,
            "member_id": user.user_id,
            "organization_id": user.organization.organization_id,
        }
    )


async def delete_user(project: Project, request: Request) -> Response:
    user_id = request.path_params["user_id"]
    if not project.remove_user(user_id):
        raise ApiError(404, "user_not_found", "The user could not be found.")
    return answer({"user_id": user_id})


async def sent(project: Project, request: Request) -> Response:
    """What was mailed last to an address and not used yet."""
    address = Fields(request.query_params).text("email").lower()

    def last(waiting: dict[str, Pending], kind: str) -> Pending | None:
        found = (item for item in waiting.values() if item.address.lower() == address and item.kind.endswith(kind))
        return next(reversed(list(found)), None)

    code, link = last(project.one_time_codes, "otp"), last(project.link_tokens, "magic_link")
    return answer(
        {
            "code": code.secret if code else None,
            "method_id": (code.email_id or None) if code else None,
            "magic_link": link.url if link else None,
        }
    )


async def rotate_keys(project: Project, request: Request) -> Response:
    keep_old = (await json_fields(request)).flag("keep_old", True)
    private = await anyio.to_thread.run_sync(new_private_key)
    project.keys.rotate(SigningKey(private, project.now()), keep_old)
    return answer({"kid": project.keys.current.kid})


async def set_clock(project: Project, request: Request) -> Response:
    offset = (await json_fields(request)).any("offset_seconds") or 0
    if not isinstance(offset, int | float) or isinstance(offset, bool) or not abs(offset) < 10**9:
        raise bad_request("offset_seconds must be a number.")
    project.clock_offset = float(offset)
    return answer({"now": project.now()})


async def set_faults(project: Project, request: Request) -> Response:
    faults = {route: read_fault(route, value) for route, value in (await json_fields(request)).values.items()}
    project.faults.update(faults)
    return answer({"faults": list(project.faults)})


def read_fault(route: str, value: Any) -> Fault:
    names = [item.name for item in dataclasses.fields(Fault) if item.name != "released"]
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise bad_request(f"{route}: an object with {', '.join(names)}.")
    fields = Fields(value)
    latency = fields.any("latency_seconds") or 0
    if not isinstance(latency, int | float) or not 0 <= latency <= 600:
        raise bad_request(f"{route}: latency_seconds must be between 0 and 600.")
    return Fault(
        latency_seconds=latency,
        hold=fields.flag("hold", False),
        status=fields.number("status", 200, 200, 599) if "status" in fields else None,
        body=fields.any("body"),
        content_type=fields.text("content_type", "application/json"),
        redirect=fields.text_or_none("redirect"),
        times=fields.number("times", 1, 1) if "times" in fields else None,
    )


def release_faults(project: Project) -> None:
    for fault in project.faults.values():
        fault.released.set()
    project.faults.clear()


async def clear_faults(project: Project, request: Request) -> Response:
    release_faults(project)
    return answer()


async def mint_token(project: Project, request: Request) -> Response:
    return answer({"token": mint(project, await json_fields(request))})


async def list_requests(project: Project, request: Request) -> Response:
    return answer({"requests": list(project.requests)})


async def forget_requests(project: Project, request: Request) -> Response:
    project.requests.clear()
    return answer()


async def get_settings(project: Project, request: Request) -> Response:
    return answer(dataclasses.asdict(project.settings))


async def set_settings(project: Project, request: Request) -> Response:
    """All or nothing: an unknown name or a wrong type changes no setting."""
    values = (await json_fields(request)).values
    hints = get_type_hints(type(project.settings))
    for name, value in values.items():
        if name not in hints:
            raise bad_request(f"There is no setting {name!r}. Settings: {', '.join(hints)}.")
        if not fits(value, hints[name]):
            raise bad_request(f"{name} cannot be {value!r}.")
    for name, value in values.items():
        setattr(project.settings, name, value)
    return answer(dataclasses.asdict(project.settings))


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a setting's type."""
    options: Sequence[Any] = get_args(hint) or (hint,)
    if get_origin(hint) is not None and not isinstance(options[0], type):
        return value in options
    return type(value) in options


ROUTES = [
    Route("/_test/authorize", control(auto_approve), methods=["GET"]),
    Route("/_test/reset", control(reset), methods=["POST"]),
    Route("/_test/users", control(seed_user), methods=["POST"]),
    Route("/_test/users/{user_id}", control(delete_user), methods=["DELETE"]),
    Route("/_test/otp", control(sent), methods=["GET"]),
    Route("/_test/keys/rotate", control(rotate_keys), methods=["POST"]),
    Route("/_test/clock", control(set_clock), methods=["POST"]),
    Route("/_test/faults", control(set_faults), methods=["POST"]),
    Route("/_test/faults", control(clear_faults), methods=["DELETE"]),
    Route("/_test/mint", control(mint_token), methods=["POST"]),
    Route("/_test/requests", control(list_requests), methods=["GET"]),
    Route("/_test/requests", control(forget_requests), methods=["DELETE"]),
    Route("/_test/settings", control(get_settings), methods=["GET"]),
    Route("/_test/settings", control(set_settings), methods=["POST"]),
]
