"""Everything a project remembers, in one object on `app.state`."""

import secrets
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import HTTPConnection

from stytch_mcp_kit.local.config import Config, Seed
from stytch_mcp_kit.local.keys import KeyRing, SigningKey, new_private_key

if TYPE_CHECKING:
    from stytch_mcp_kit.local.faults import Fault

DEFAULT_ROLE = "stytch_user"
DEFAULT_MEMBER_ROLE = "stytch_member"


def new_id(kind: str) -> str:
    """An identifier as Stytch makes them for test projects, for example `user-test-<uuid>`."""
    return f"{kind}-test-{uuid4()}"


def new_secret() -> str:
    return secrets.token_urlsafe(36)


def role_of(scope: str) -> str:
    """The one role of the local project whose permissions cover `scope`."""
    return f"may_{scope.replace(':', '_')}"


@dataclass
class Email:
    address: str
    verified: bool
    email_id: str = field(default_factory=lambda: new_id("email"))


@dataclass
class Organization:
    organization_id: str
    slug: str
    name: str
    external_id: str | None = None
    email_jit_provisioning: str = "NOT_ALLOWED"
    """RESTRICTED: whoever logs in with an address of `email_allowed_domains` becomes a member."""
    email_allowed_domains: list[str] = field(default_factory=list)
    first_party_connected_apps_allowed_type: str = "ALL_ALLOWED"
    allowed_first_party_connected_apps: list[str] = field(default_factory=list)
    third_party_connected_apps_allowed_type: str = "ALL_ALLOWED"
    allowed_third_party_connected_apps: list[str] = field(default_factory=list)
    trusted_metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class User:
    """A User, or a Member when `organization` is set."""

    user_id: str
    emails: list[Email]
    roles: list[str]
    created_at: float
    name: dict[str, str] = field(default_factory=dict)
    status: str = "active"
    organization: Organization | None = None
    fixed_code: str | None = None
    trusted_metadata: dict[str, Any] = field(default_factory=dict)
    untrusted_metadata: dict[str, Any] = field(default_factory=dict)
    external_id: str | None = None

    @property
    def email(self) -> Email | None:
        return self.emails[0] if self.emails else None

    def may(self, scope: str) -> bool:
        return role_of(scope) in self.roles


@dataclass
class Client:
    """A Connected App."""

    client_id: str
    client_type: str
    redirect_urls: list[str]
    creation_method: str
    client_name: str = ""
    client_description: str = ""
    logo_url: str | None = None
    secrets: list[str] = field(default_factory=list)
    """The secret that counts, and while it is being rotated the next one."""
    status: str = "active"
    full_access_allowed: bool = False
    access_token_expiry_minutes: int = 60
    access_token_template_content: str = ""
    access_token_custom_audience: str | None = None
    id_token_template_content: str = ""
    post_logout_redirect_urls: list[str] = field(default_factory=list)
    bypass_consent_for_offline_access: bool = False
    client_id_metadata_url: str | None = None

    @property
    def public(self) -> bool:
        return self.client_type.endswith("_public")

    @property
    def first_party(self) -> bool:
        return self.client_type.startswith("first_party")


@dataclass
class Grant:
    """What a person allowed a client once; codes and tokens come from it."""

    client_id: str
    user_id: str
    scopes: list[str]
    resources: list[str]
    nonce: str | None
    issued: set[str] = field(default_factory=set)
    """`jti` of the access tokens."""
    revoked: bool = False


@dataclass
class Code:
    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires_at: float


@dataclass
class RefreshToken:
    grant: Grant
    scopes: list[str]
    expires_at: float
    jti: str
    """The access token issued at the same time."""
    used: bool = False


@dataclass
class Session:
    session_id: str
    user_id: str
    token: str
    started_at: float
    accessed_at: float
    expires_at: float
    factors: list[dict[str, Any]]
    custom_claims: dict[str, Any] = field(default_factory=dict)


@dataclass
class Pending:
    """A one-time code or link token that was sent and not used yet.

    In the discovery of a B2B project it is for an address: nobody's yet, so `user_id` and `email_id` are empty.
    """

    kind: str
    """The `stytch_token_type` of a link, `otp` of a code."""
    user_id: str
    email_id: str
    address: str
    secret: str
    expires_at: float
    challenge: str | None = None
    url: str | None = None
    provider: str | None = None


@dataclass
class Intermediate:
    """An intermediate session: an address was proved, and the organization is not chosen yet (B2B)."""

    address: str
    factor: dict[str, Any]
    expires_at: float


class Project:
    """One Stytch project: `config` never changes, `reset` brings everything else but the keys to its start."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock_offset = 0.0
        first = SigningKey(config.signing_key or new_private_key(), config.clock())
        self.keys = KeyRing(first)
        self.foreign_key: SigningKey | None = None
        self.requests: deque[dict[str, Any]] = deque(maxlen=1000)
        self.reset()

    def reset(self) -> None:
        self.clock_offset = 0.0
        self.settings = copy(self.config.settings)
        if self.config.authorization_url is not None:
            self.settings.authorization_url = self.config.authorization_url
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {}
        self.clients: dict[str, Client] = {}
        self.registrations: dict[str, str] = {}
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.grants: list[Grant] = []
        self.revoked: set[str] = set()
        self.exchanged: set[str] = set()
        self.consents: dict[tuple[str, str], set[frozenset[str]]] = {}
        self.sessions: dict[str, Session] = {}
        self.one_time_codes: dict[str, Pending] = {}
        self.link_tokens: dict[str, Pending] = {}
        self.intermediates: dict[str, Intermediate] = {}
        self.faults: dict[str, Fault] = {}
        self.requests.clear()
        for seed in self.config.users:
            self.add_user(seed)

    def new_client_id(self) -> str:
        return new_id("connected-app")

    def now(self) -> float:
        """Seconds since the epoch, by the injected clock and the offset of `/_test/clock`."""
        return self.config.clock() + self.clock_offset

    def add_user(self, seed: Seed) -> User:
        organization = self.organization(seed.organization) if seed.organization else None
        allowed = self.config.scopes if seed.scopes is None else seed.scopes
        user = User(
            user_id=new_id("member" if organization else "user"),
            emails=[Email(seed.email, seed.verified)],
            roles=[DEFAULT_MEMBER_ROLE if organization else DEFAULT_ROLE, *map(role_of, allowed)],
            created_at=self.now(),
            name=dict(seed.name),
            organization=organization,
            fixed_code=seed.code,
            external_id=seed.external_id,
        )
        self.users[user.user_id] = user
        return user

    def organization(self, slug: str) -> Organization:
        """The organization with that slug, made when it is new."""
        for organization in self.organizations.values():
            if organization.slug == slug:
                return organization
        return self.add_organization(slug, slug)

    def add_organization(self, slug: str, name: str) -> Organization:
        organization = Organization(new_id("organization"), slug, name)
        self.organizations[organization.organization_id] = organization
        return organization

    def users_by_email(self, address: str) -> Iterator[User]:
        for user in self.users.values():
            if any(email.address.lower() == address.lower() for email in user.emails):
                yield user

    def forget_app(self, user_id: str, client_id: str) -> None:
        """Revoke what the user allowed the client: consent, refresh tokens, access tokens, codes."""
        self.consents.pop((user_id, client_id), None)
        for grant in self.grants:
            if (grant.user_id, grant.client_id) == (user_id, client_id):
                grant.revoked = True
                self.revoked |= grant.issued

    def remove_user(self, user_id: str) -> bool:
        if self.users.pop(user_id, None) is None:
            return False
        for client_id in list(self.clients):
            self.forget_app(user_id, client_id)
        self.sessions = {key: value for key, value in self.sessions.items() if value.user_id != user_id}
        return True


def project_of(connection: HTTPConnection) -> Project:
    project = connection.app.state.project
    assert isinstance(project, Project)
    return project
