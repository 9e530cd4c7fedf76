"""The authorization request (RFC 6749 section 4.1.1): what a client asks, checked before anyone logs in.

Nobody vouches for any of it yet: what is wrong is answered with a page of ours, never with a redirect.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stytch_mcp.protect.origins import is_loopback
from stytch_mcp.protect.scopes import SCOPE_NAME

MAX_BYTES = 2800
MAX_FIELDS = 100
# What Stytch's own component asks for when the client names no scope.
WITHOUT_SCOPE = ("openid", "email", "profile")
ONCE = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
)
SCRIPTS = frozenset({"javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source"})

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class BadRequest(Exception):
    """The client asked wrongly. `parameter` is the one that is wrong, `sentence` says how."""

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(f"{parameter} {sentence}")
        self.parameter = parameter
        self.sentence = sentence


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request in good form; PKCE is S256 (RFC 7636), `resources` are those of RFC 8707 in their order."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str
    state: str | None
    nonce: str | None
    prompts: tuple[str, ...]
    resources: tuple[str, ...]

    @property
    def redirect_host(self) -> str:
        """The host that the answer goes to; empty for a scheme of an application's own."""
        parts = urlsplit(self.redirect_uri)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""

    @property
    def redirect_scheme(self) -> str:
        """The scheme that the answer goes to."""
        return urlsplit(self.redirect_uri).scheme

    @property
    def stays_here(self) -> bool:
        """Whether the answer goes to a program on the person's own machine."""
        return is_loopback(self.redirect_host)

    def dump(self) -> list[str | None]:
        """As little as is needed for `load` to make it again."""
        scope, prompt = " ".join(self.scopes), " ".join(self.prompts)
        fields = [self.client_id, self.redirect_uri, scope, self.code_challenge, self.state, self.nonce, prompt]
        return [*fields, *self.resources]

    @staticmethod
    def load(dumped: list[Any]) -> AuthorizationRequest:
        """What `dump` gave."""
        client_id, redirect_uri, scope, challenge, state, nonce, prompt, *resources = dumped
        return AuthorizationRequest(
            client_id,
            redirect_uri,
            tuple(scope.split()),
            challenge,
            state,
            nonce,
            tuple(prompt.split()),
            tuple(resources),
        )


def parse(query: bytes) -> AuthorizationRequest:
    """Reads a query string. Raises BadRequest for the first thing that is wrong."""
    once, resources = _fields(query)
    _check_size(once, resources)
    for name in ("request", "request_uri"):
        if name in once:
            raise BadRequest(name, "is not supported here; send the parameters themselves.")
    if once.get("response_mode", "query") != "query":
        raise BadRequest("response_mode", "must be query.")
    # ChatGPT leaves it out.
    if once.get("response_type", "code") != "code":
        raise BadRequest("response_type", "must be code.")
    for name in ("client_id", "redirect_uri"):
        if name not in once:
            raise BadRequest(name, "is missing.")
    _check_redirect(once["redirect_uri"])
    _check_pkce(once)
    scopes = tuple(dict.fromkeys(once.get("scope", "").split())) or WITHOUT_SCOPE
    if not all(map(SCOPE_NAME.fullmatch, scopes)):
        raise BadRequest("scope", "has a name with characters that no scope may have.")
    prompts = tuple(dict.fromkeys(once.get("prompt", "").split()))
    if "none" in prompts and len(prompts) > 1:
        raise BadRequest("prompt", "cannot be none and something else at once.")
    return AuthorizationRequest(
        client_id=once["client_id"],
        redirect_uri=once["redirect_uri"],
        scopes=scopes,
        code_challenge=once["code_challenge"],
        state=once.get("state"),
        nonce=once.get("nonce"),
        prompts=prompts,
        resources=resources,
    )


def _fields(query: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """Known parameters with a value, each once (RFC 6749 section 3.1), and every `resource`."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("The query", "is not text in UTF-8, or has too many fields.") from None
    once: dict[str, str] = {}
    resources: list[str] = []
    for name, value in pairs:
        if name not in ONCE and name != "resource":
            continue
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise BadRequest(name, "has control characters.")
        if name == "resource":
            resources.append(value)
        elif name in once:
            raise BadRequest(name, "stands there twice.")
        else:
            once[name] = value
    return once, tuple(dict.fromkeys(resources))


def _check_size(once: dict[str, str], resources: tuple[str, ...]) -> None:
    """All of it has to fit into one cookie."""
    sizes = {name: len(_compact(value).encode()) for name, value in once.items()}
    sizes["resource"] = sum(len(_compact(value).encode()) for value in resources)
    if sum(sizes.values()) > MAX_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        raise BadRequest(largest, f"is too long: {sizes[largest]} bytes of {MAX_BYTES} for everything together.")


def _check_redirect(uri: str) -> None:
    """What no browser can read in two ways, and no script. Whether it is the client's, Stytch says later."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadRequest("redirect_uri", "is not a URI.") from None
    if not _URI.fullmatch(uri) or set("@%") & set(parts.netloc) or parts.scheme in SCRIPTS:
        raise BadRequest("redirect_uri", "is not a URI that an application can receive answers at.")
    if parts.scheme in ("http", "https") and not host:
        raise BadRequest("redirect_uri", "has no host.")
    if parts.scheme == "http" and not is_loopback(host):
        raise BadRequest("redirect_uri", "must be https; http is for this machine alone.")


def _check_pkce(once: dict[str, str]) -> None:
    """RFC 7636: a method that is not named means plain, which protects nothing here."""
    if "code_challenge" not in once:
        raise BadRequest("code_challenge", "is missing: PKCE with S256 is needed.")
    if once.get("code_challenge_method", "plain") != "S256":
        raise BadRequest("code_challenge_method", "must be S256.")
    if not _CHALLENGE.fullmatch(once["code_challenge"]):
        raise BadRequest("code_challenge", "is not a SHA-256 in base64url.")


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
