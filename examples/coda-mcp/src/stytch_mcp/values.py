"""What one setting may be: types that check a value and say in a person's words what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from stytch_mcp.protect.bearer import BearerToken
from stytch_mcp.protect.origins import origin
from stytch_mcp.protect.policy import fold
from stytch_mcp.protect.scopes import SCOPE_NAME

LEAST_SIGNIN_SECRET = 32

_AUD_TAG = re.compile(r"[0-9a-f]{64}")
_PROJECT_ID = re.compile(r"project-(test|live)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _each(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda values: tuple(check(value) for value in values))


def _credential(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise ValueError("has characters that no HTTP header can carry")
    return value


def _project_id(value: str) -> str:
    if not _PROJECT_ID.fullmatch(value):
        raise ValueError("is not a project ID: project-live-... or project-test-..., from the Stytch dashboard")
    return value


def _stytch_domain(value: str) -> str:
    if value.endswith("/"):
        raise ValueError('ends with "/". Stytch\'s issuer never does, and clients compare it byte by byte')
    return origin(value)


def _aud_tag(value: str) -> str:
    if not _AUD_TAG.fullmatch(value):
        raise ValueError("is not an AUD tag: 64 hex digits, from the Access application in the Cloudflare dashboard")
    return value


def _audience(value: str) -> str:
    if not value.isprintable() or not value or " " in value:
        raise ValueError("is blank or has spaces: a token is accepted only when it names this server as its audience")
    return value


def _issuer(value: str) -> str:
    """An issuer identifier (RFC 8414 section 2): like an origin, with a path if it has one."""
    scheme, separator, rest = value.partition("://")
    authority, _, path = rest.partition("/")
    origin(f"{scheme}{separator}{authority}")
    if not path.isprintable() or any(character in path for character in " ?#"):
        raise ValueError("has a query, a fragment or a space, which no issuer has (RFC 8414)")
    return value


def _collector(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("http", "https") or not rest.partition("/")[0] or not value.isprintable() or " " in value:
        raise ValueError("is not a URL, for example http://127.0.0.1:4318")
    return value


def _scope(value: str) -> str:
    if not SCOPE_NAME.fullmatch(value):
        raise ValueError(f"has {value!r}, which is not a scope name")
    return value


def _email(value: str) -> str:
    local, _, domain = value.rpartition("@")
    if not local or not domain:
        raise ValueError(f"has {value!r}, which is not an e-mail address")
    return fold(value)


def _email_domain(value: str) -> str:
    if value.startswith(".") or any(character in value for character in "@*/"):
        raise ValueError(f"has {value!r}. Give the domain alone, for example example.com")
    return fold(value)


def _public_token(value: str) -> str:
    if not value.startswith("public-token-"):
        raise ValueError("is not a public token: public-token-live-... or public-token-test-..., from the dashboard")
    return value


def _signin_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < LEAST_SIGNIN_SECRET:
        raise ValueError(f"has fewer than {LEAST_SIGNIN_SECRET} characters. Make one: openssl rand -hex 32")
    return value


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"has {value!r}, which is no address and no network, for example 172.16.0.0/12") from None
    if str(network.network_address) != str(ipaddress.ip_address(value.partition("/")[0])):
        raise ValueError(f"has {value!r}, which has host bits: is {network} meant?")
    return network


Audience = Annotated[str, AfterValidator(_audience)]
AudTag = Annotated[str, AfterValidator(_aud_tag)]
Collector = Annotated[str, AfterValidator(_collector)]
Credential = Annotated[SecretStr, AfterValidator(_credential)]
IssuerIdentifier = Annotated[str, AfterValidator(_issuer)]
Origin = Annotated[str, AfterValidator(origin)]
ProjectId = Annotated[str, AfterValidator(_project_id)]
PublicToken = Annotated[str, AfterValidator(_public_token)]
StytchDomain = Annotated[str, AfterValidator(_stytch_domain)]

List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
EmailList = Annotated[List, _each(_email)]
EmailDomainList = Annotated[List, _each(_email_domain)]
OriginList = Annotated[List, _each(origin)]
ScopeList = Annotated[List, _each(_scope)]
IssuerList = Annotated[tuple[Literal["stytch", "workos", "oidc"], ...], NoDecode, BeforeValidator(_split)]
SigninMethodList = Annotated[
    tuple[Literal["email-code", "email-link", "google", "github"], ...], NoDecode, BeforeValidator(_split)
]
SecretList = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_signin_secret)], ...], NoDecode, BeforeValidator(_split)
]
NetworkList = Annotated[
    tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    NoDecode,
    BeforeValidator(lambda value: tuple(map(_network, _split(value)))),
]
BearerTokenList = Annotated[
    tuple[BearerToken, ...],
    NoDecode,
    BeforeValidator(lambda value: tuple(map(BearerToken.parse, _split(value)))),
]
