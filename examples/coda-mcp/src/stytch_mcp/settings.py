"""Every environment variable, once: name, type, default, help. One report lists all that is wrong.

A server's own settings are fields of a subclass (`UpstreamSettings` in its `upstream.py`).
"""

from __future__ import annotations

import ipaddress
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import NoDecode, SettingsConfigDict

from stytch_mcp.listening import Listening
from stytch_mcp.protect.bearer import BearerToken
from stytch_mcp.protect.origins import PublicUrl, origin
from stytch_mcp.protect.policy import AccessRules, fold
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
        return ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"has {value!r}, which is no address and no network, for example 172.16.0.0/12") from None


Audience = Annotated[str, AfterValidator(_audience)]
Credential = Annotated[SecretStr, AfterValidator(_credential)]
List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origin = Annotated[str, AfterValidator(origin)]
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


class Settings(Listening):
    """The settings of the runtime. Lists are comma-separated; an empty variable counts as not set."""

    model_config = SettingsConfigDict(arbitrary_types_allowed=True)

    public_url: Origin = Field(description="The origin that clients know. The MCP URL is PUBLIC_URL/mcp.")
    log_format: Literal["json", "text"] = Field("json", description="json for machines, text for people.")
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(_collector)] | None = Field(
        None, description="An OpenTelemetry collector that gets traces, for example http://127.0.0.1:4318."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, le=67_108_864, description="The largest request body.")
    allowed_origins: Annotated[List, _each(origin)] = Field(
        (), description="Web origins besides PUBLIC_URL whose pages may call this server from a browser."
    )
    trusted_proxies: NetworkList = Field(
        (), description="Addresses and networks of your own proxies. Without them nothing is limited by client address."
    )
    serve_as_metadata: bool = Field(
        True, description="Re-serve the issuer's metadata here too, for clients of the 2025-03-26 revision."
    )
    auth_issuers: Annotated[tuple[Literal["stytch", "workos", "oidc"], ...], NoDecode, BeforeValidator(_split)] = Field(
        ("stytch",),
        min_length=1,
        description="Whose tokens are accepted: stytch, workos, oidc. The first is advertised first.",
    )
    auth_mode: Literal["oauth", "cloudflare-access"] = Field(
        "oauth",
        description="How callers prove who they are: oauth, or what Cloudflare Access vouches for and nothing else.",
    )
    scope_mode: Literal["simple", "custom"] = Field(
        "simple", description="simple: who may come in may use every tool. custom: tools need scopes set up in Stytch."
    )
    required_scopes: Annotated[List, _each(_scope)] = Field(
        (), description="Scopes that every request needs. In custom mode, if not set: the server's first scope."
    )
    allowed_users: List = Field((), description="Subjects that may come in (user-..., member-...), or *: everyone.")
    allowed_emails: Annotated[List, _each(_email)] = Field((), description="Verified addresses that may come in.")
    allowed_email_domains: Annotated[List, _each(_email_domain)] = Field(
        (), description="Domains whose verified addresses may come in. A subdomain is another domain."
    )
    allowed_organizations: List = Field((), description="Stytch B2B organizations whose members may come in.")
    bearer_tokens: BearerTokenList = Field(
        (), description="Static tokens: name|sha256|scope scope|YYYY-MM-DD, the date optional. See `token new`."
    )
    stytch_project_id: Annotated[str, AfterValidator(_project_id)] | None = Field(
        None, description="The Stytch project, which is also the audience of its tokens."
    )
    stytch_secret: Credential | None = Field(
        None, description="The project's secret, for the sign-in page and to look up e-mail addresses."
    )
    stytch_public_token: Annotated[str, AfterValidator(_public_token)] | None = Field(
        None, description="The project's public token, for the log-in with google and github."
    )
    stytch_domain: Annotated[str, AfterValidator(_stytch_domain)] | None = Field(
        None, description="The project's own domain, the issuer: https://<name>.customers.stytch.com"
    )
    stytch_audience: Audience = Field(
        "project", description="The audience tokens must have: project (its ID), resource (the MCP URL), or a string."
    )
    stytch_revocation_seconds: int | None = Field(
        None, ge=1, le=86_400, description="Ask Stytch at least so often whether an application is still connected."
    )
    signin_methods: Annotated[
        tuple[Literal["email-code", "email-link", "google", "github"], ...], NoDecode, BeforeValidator(_split)
    ] = Field(
        ("email-code",), min_length=1, description="Ways to log in: email-code, email-link, google, github, as shown."
    )
    signin_secret: SecretList = Field(
        (),
        description="Encrypts the cookies of the sign-in page: 32 characters or more; the first of several encrypts.",
    )
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        None, description="The issuer identifier, byte for byte, of an authorization server with discovery."
    )
    oidc_audience: Audience | None = Field(
        None, description="The audience its tokens must have. If not set: the MCP URL."
    )
    workos_domain: Origin | None = Field(
        None, description="The AuthKit domain, the issuer: https://<name>.authkit.app, or a domain of your own."
    )
    workos_audience: Audience | None = Field(
        None, description="The resource indicator set up in WorkOS. If not set: the MCP URL."
    )
    workos_default_scopes: Annotated[List, _each(_scope)] = Field(
        (), description="Scopes of people whose tokens have neither scopes of this server nor permissions."
    )
    workos_api_key: Credential | None = Field(
        None, description="An API key (sk_...), to look up e-mail addresses that tokens lack, and for `migrate`."
    )
    cf_access_team_domain: Origin | None = Field(
        None, description="Who signs for Cloudflare Access: https://<team>.cloudflareaccess.com"
    )
    cf_access_aud: Annotated[str, AfterValidator(_aud_tag)] | None = Field(
        None, description="The AUD tag of the Access application in front of this server."
    )
    cf_access_service_tokens: List = Field(
        (), description="Service tokens that may come in, by their client ID (<hex digits>.access)."
    )
    cf_access_scopes: Annotated[List, _each(_scope)] = Field(
        (), description="What everyone may do whom Cloudflare Access lets through."
    )

    @property
    def url(self) -> PublicUrl:
        """PUBLIC_URL as a value that knows its host."""
        return PublicUrl(self.public_url)

    @property
    def mcp_url(self) -> str:
        """The resource identifier (RFC 8707, RFC 9728) of this server."""
        return f"{self.public_url}/mcp"

    @property
    def behind_access(self) -> bool:
        """Whether Cloudflare Access says who comes in, and OAuth is off."""
        return self.auth_mode == "cloudflare-access"

    @property
    def accepted_issuers(self) -> tuple[str, ...]:
        """The names of those whose signatures count now."""
        return ("cloudflare_access",) if self.behind_access else self.auth_issuers

    @property
    def rules(self) -> AccessRules:
        """The ALLOWED_* settings; behind Cloudflare Access the service tokens that are named may come in as well."""
        services = self.cf_access_service_tokens if self.behind_access else ()
        return AccessRules(
            users=frozenset(self.allowed_users + services),
            organizations=frozenset(self.allowed_organizations),
            emails=frozenset(self.allowed_emails),
            domains=frozenset(self.allowed_email_domains),
        )

    def problems(self) -> Iterator[Problem]:
        """What is wrong with settings that are each right: a subclass adds to it."""
        yield from self._issuer_problems()
        yield from self._watching_problems()
        for part in ("name", "digest"):
            if len({getattr(token, part) for token in self.bearer_tokens}) < len(self.bearer_tokens):
                yield Problem("BEARER_TOKENS", f"has two entries of the same {part}.")
        if self.url.is_production and self.rules == AccessRules():
            yield Problem(
                "ALLOWED_EMAILS",
                "nobody is allowed: set ALLOWED_EMAILS, ALLOWED_EMAIL_DOMAINS, ALLOWED_USERS or ALLOWED_ORGANIZATIONS.",
            )

    def _issuer_problems(self) -> Iterator[Problem]:
        needed = {
            "stytch": ("stytch_domain", "stytch_project_id"),
            "workos": ("workos_domain",),
            "oidc": ("oidc_issuer",),
            "cloudflare_access": ("cf_access_team_domain", "cf_access_aud"),
        }
        for name in dict.fromkeys(field for issuer in self.accepted_issuers for field in needed[issuer]):
            if getattr(self, name) is None:
                yield missing(type(self), name)
        if "stytch" in self.accepted_issuers:
            yield from self._signin_problems()
        if self.behind_access and not self.cf_access_scopes and (self.scope_mode == "custom" or self.required_scopes):
            yield missing(type(self), "cf_access_scopes")
        if len(set(self.auth_issuers)) < len(self.auth_issuers):
            yield Problem("AUTH_ISSUERS", "names an issuer twice.")
        domains = {"stytch": self.stytch_domain, "workos": self.workos_domain}
        for issuer in ("stytch", "workos"):
            if {issuer, "oidc"} <= set(self.auth_issuers) and self.oidc_issuer == domains[issuer] is not None:
                sentence = f"is {issuer.upper()}_DOMAIN, whose tokens need the stricter rules of {issuer} alone."
                yield Problem("OIDC_ISSUER", sentence)
        if {"stytch", "workos"} <= set(self.auth_issuers) and self.workos_domain == self.stytch_domain is not None:
            yield Problem("WORKOS_DOMAIN", "is STYTCH_DOMAIN: one of the two is wrong.")

    def _signin_problems(self) -> Iterator[Problem]:
        exposed = self.url.is_production
        if self.stytch_secret is None and (exposed or self.rules.about_email or self.stytch_revocation_seconds):
            yield missing(type(self), "stytch_secret")
        if not self.signin_secret and exposed:
            yield missing(type(self), "signin_secret")
        if {"google", "github"} & set(self.signin_methods) and self.stytch_public_token is None:
            yield missing(type(self), "stytch_public_token")
        if len(set(self.signin_methods)) < len(self.signin_methods):
            yield Problem("SIGNIN_METHODS", "names a way twice.")

    def _watching_problems(self) -> Iterator[Problem]:
        if self.metrics_port == self.port:
            yield Problem("METRICS_PORT", "is PORT, which the public can reach.")
        for name, module, extra in (
            ("metrics_port", "prometheus_client", "metrics"),
            ("otel_exporter_otlp_endpoint", "opentelemetry.sdk", "otel"),
        ):
            if getattr(self, name) is not None and find_spec(module) is None:
                yield Problem(name.upper(), f"needs the extra {extra}: install from requirements-extras.lock.")

    def warnings(self) -> Iterator[str]:
        """What may be meant so, and often is not."""
        if "workos" in self.accepted_issuers:
            yield from self._workos_warnings()
        if not self.behind_access and (self.cf_access_team_domain is None) is not (self.cf_access_aud is None):
            yield "CF_ACCESS_TEAM_DOMAIN and CF_ACCESS_AUD belong together: with one alone you cannot roll back."
        if self.behind_access and self._only_names_of_stytch():
            yield "no ALLOWED_* setting can match: behind Cloudflare Access nobody goes by a name of Stytch."
        if self.url.is_production and (self.stytch_project_id or "").startswith("project-test-"):
            yield "STYTCH_PROJECT_ID is a test project, and PUBLIC_URL is https: is this meant for real users?"
        if not self.url.is_production and self.rules == AccessRules():
            yield "no ALLOWED_* setting: everyone who logs in will be refused."

    def _only_names_of_stytch(self) -> bool:
        rules = self.rules
        others = [user for user in rules.users if not user.startswith(("user-", "member-"))]
        return rules != AccessRules() and not rules.about_email and not others

    def _workos_warnings(self) -> Iterator[str]:
        if self.rules.about_email and self.workos_api_key is None:
            yield (
                "ALLOWED_EMAILS and ALLOWED_EMAIL_DOMAINS need addresses, which AuthKit's tokens lack:"
                " set WORKOS_API_KEY, unless your JWT template adds email and email_verified."
            )
        if self.scope_mode == "custom" and not self.workos_default_scopes:
            yield (
                "SCOPE_MODE is custom, and AuthKit grants no scopes of this server: without WORKOS_DEFAULT_SCOPES only"
                " those may use a tool whose role has permissions of the same names."
            )


SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(frozen=True)
class Problem:
    """One line of the report: the name of a setting and a sentence about it."""

    name: str
    sentence: str


class SettingsError(Exception):
    """The settings cannot be used; `problems` has all that is wrong, in the order of the fields."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} settings need attention")
        self.problems = problems

    def report(self, server: str) -> str:
        """The text for a person."""
        count = len(self.problems)
        width = max(len(problem.name) for problem in self.problems)
        noun = "1 setting needs" if count == 1 else f"{count} settings need"
        lines = [f"  {problem.name:<{width}}   {problem.sentence}" for problem in self.problems]
        return "\n".join(
            [f"{server} cannot start: {noun} attention.", "", *lines, "", f"All settings: {server} serve --help"]
        )


def load(kind: type[SettingsT], env_file: Path | None = None) -> SettingsT:
    """Reads the environment, then `env_file` for what the environment does not set.

    Raises SettingsError with everything that is wrong at once.
    """
    try:
        settings = kind(_env_file=env_file)  # type: ignore[call-arg]
    except UnicodeDecodeError:
        raise SettingsError([Problem(str(env_file), "is not UTF-8 text.")]) from None
    except ValidationError as error:
        # What is left of the settings may be wrong together as well, and the person should read it all at once.
        rest = _without(kind, {str(entry["loc"][0]) for entry in error.errors()}, env_file)
        first: dict[str, Problem] = {}
        for problem in (*(_problem(kind, entry) for entry in error.errors()), *rest.problems()):
            first.setdefault(problem.name, problem)
        raise SettingsError(_sorted(kind, list(first.values()))) from None
    problems = list(settings.problems())
    if problems:
        raise SettingsError(_sorted(kind, problems))
    return settings


def missing(kind: type[Settings], name: str) -> Problem:
    """The problem of a setting that is needed and not there."""
    return Problem(name.upper(), f"is not set. {kind.model_fields[name].description}")


def _without(kind: type[SettingsT], bad: set[str], env_file: Path | None) -> SettingsT:
    """The settings as if the bad ones had been absent; where absence is wrong too, they get a harmless value."""
    harmless: dict[str, Any] = {
        "public_url": "http://127.0.0.1:8000",
        "allowed_emails": "somebody@example.com",
        "allowed_email_domains": "example.com",
    }
    given = {name: field.get_default() for name, field in kind.model_fields.items() if name in bad}
    given.update({name: value for name, value in harmless.items() if name in bad})
    optional: dict[str, Any] = {name: (Any, None) for name, value in given.items() if value is PydanticUndefined}
    given.update(dict.fromkeys(optional))
    return create_model(kind.__name__, __base__=kind, **optional)(_env_file=env_file, **given)  # type: ignore[call-arg]


def _problem(kind: type[Settings], entry: Mapping[str, Any]) -> Problem:
    name = str(entry["loc"][0])
    field = kind.model_fields[name]
    if entry["type"] == "missing":
        return missing(kind, name)
    message = f"{entry['msg'][:1].lower()}{entry['msg'][1:]}"
    sentence = str(entry["ctx"]["error"]) if entry["type"] == "value_error" else f"is not accepted: {message}."
    given = "" if _is_secret(field) else f'"{_given(entry["input"])}" '
    return Problem(name.upper(), given + sentence)


def _given(value: object) -> str:
    text = ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    text = text.encode(errors="replace").decode()
    return textwrap.shorten(re.sub(r"//[^/@]*@", "//...@", text), 80, placeholder="...")


def _is_secret(field: FieldInfo) -> bool:
    """Bearer tokens too: whoever wrote the token where its hash belongs does not want to read it in a log."""
    return any(kind in str(field.annotation) for kind in ("Secret", "BearerToken"))


def in_order(kind: type[Settings]) -> dict[str, FieldInfo]:
    """The settings as they are shown: where it listens comes last, for most never change it."""
    return dict(sorted(kind.model_fields.items(), key=lambda item: item[0] in Listening.model_fields))


def _sorted(kind: type[Settings], problems: list[Problem]) -> list[Problem]:
    order = {name.upper(): position for position, name in enumerate(in_order(kind))}
    return sorted(problems, key=lambda problem: order.get(problem.name, len(order)))
