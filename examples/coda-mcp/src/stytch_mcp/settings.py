"""Every environment variable, once: name, type, default, help; and what is wrong with several together.

A server's own settings are fields of a subclass (`UpstreamSettings` in its `upstream.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from stytch_mcp.protect.origins import PublicUrl
from stytch_mcp.protect.policy import AccessRules
from stytch_mcp.report import Problem, Reported, SettingsError, load, missing
from stytch_mcp.values import (
    Audience,
    AudTag,
    BearerTokenList,
    Collector,
    Credential,
    EmailDomainList,
    EmailList,
    IssuerIdentifier,
    IssuerList,
    List,
    NetworkList,
    Origin,
    OriginList,
    ProjectId,
    PublicToken,
    ScopeList,
    SecretList,
    SigninMethodList,
    StytchDomain,
)

__all__ = ["Credential", "List", "Problem", "Settings", "SettingsError", "load", "missing"]


class Settings(Reported):
    """The settings of the runtime. Lists are comma-separated; an empty variable counts as not set."""

    model_config = SettingsConfigDict(arbitrary_types_allowed=True)

    public_url: Origin = Field(description="The origin that clients know. The MCP URL is PUBLIC_URL/mcp.")
    log_format: Literal["json", "text"] = Field("json", description="json for machines, text for people.")
    otel_exporter_otlp_endpoint: Collector | None = Field(
        None, description="An OpenTelemetry collector that gets traces, for example http://127.0.0.1:4318."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, le=67_108_864, description="The largest request body.")
    allowed_origins: OriginList = Field(
        (), description="Web origins besides PUBLIC_URL whose pages may call this server from a browser."
    )
    trusted_proxies: NetworkList = Field(
        (), description="Addresses and networks of your own proxies. Without them nothing is limited by client address."
    )
    serve_as_metadata: bool = Field(
        True, description="Re-serve the issuer's metadata here too, for clients of the 2025-03-26 revision."
    )
    auth_issuers: IssuerList = Field(
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
    required_scopes: ScopeList = Field(
        (), description="Scopes that every request needs. In custom mode, if not set: the server's first scope."
    )
    allowed_users: List = Field((), description="Subjects that may come in (user-..., member-...), or *: everyone.")
    allowed_emails: EmailList = Field((), description="Verified addresses that may come in.")
    allowed_email_domains: EmailDomainList = Field(
        (), description="Domains whose verified addresses may come in. A subdomain is another domain."
    )
    allowed_organizations: List = Field((), description="Stytch B2B organizations whose members may come in.")
    bearer_tokens: BearerTokenList = Field(
        (), description="Static tokens: name|sha256|scope scope|YYYY-MM-DD, the date optional. See `token new`."
    )
    stytch_project_id: ProjectId | None = Field(
        None, description="The Stytch project, which is also the audience of its tokens."
    )
    stytch_secret: Credential | None = Field(
        None, description="The project's secret, for the sign-in page and to look up e-mail addresses."
    )
    stytch_public_token: PublicToken | None = Field(
        None, description="The project's public token, for the log-in with google and github."
    )
    stytch_domain: StytchDomain | None = Field(
        None, description="The project's own domain, the issuer: https://<name>.customers.stytch.com"
    )
    stytch_audience: Audience = Field(
        "project", description="The audience tokens must have: project (its ID), resource (the MCP URL), or a string."
    )
    stytch_revocation_seconds: int | None = Field(
        None, ge=1, le=86_400, description="Ask Stytch at least so often whether an application is still connected."
    )
    signin_methods: SigninMethodList = Field(
        ("email-code",), min_length=1, description="Ways to log in: email-code, email-link, google, github, as shown."
    )
    signin_secret: SecretList = Field(
        (),
        description="Encrypts the cookies of the sign-in page: 32 characters or more; the first of several encrypts.",
    )
    oidc_issuer: IssuerIdentifier | None = Field(
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
    workos_default_scopes: ScopeList = Field(
        (), description="Scopes of people whose tokens have neither scopes of this server nor permissions."
    )
    workos_api_key: Credential | None = Field(
        None, description="An API key (sk_...), to look up e-mail addresses that tokens lack, and for `migrate`."
    )
    cf_access_team_domain: Origin | None = Field(
        None, description="Who signs for Cloudflare Access: https://<team>.cloudflareaccess.com"
    )
    cf_access_aud: AudTag | None = Field(
        None, description="The AUD tag of the Access application in front of this server."
    )
    cf_access_service_tokens: List = Field(
        (), description="Service tokens that may come in, by their client ID (<hex digits>.access)."
    )
    cf_access_scopes: ScopeList = Field((), description="What everyone may do whom Cloudflare Access lets through.")

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
        """What is wrong with several together: a subclass adds to it."""
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
