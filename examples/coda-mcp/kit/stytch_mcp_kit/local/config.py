"""What a local project is made of: fixed values (`Config`) and switches that tests may turn (`Settings`)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PROJECT_ID = "project-test-00000000-0000-4000-8000-000000000001"
SECRET = "secret-test-local-00000000000000000001"
PUBLIC_TOKEN = "public-token-test-00000000-0000-4000-8000-000000000001"
M2M_CLIENT_ID = "m2m-client-test-00000000-0000-4000-8000-000000000001"
M2M_CLIENT_SECRET = "m2m-secret-test-local-00000000000000000001"
FIXED_CODE = "000000"

BUILT_IN = {
    "openid": "Know who you are",
    "profile": "See your name and picture",
    "email": "See your e-mail address",
    "phone": "See your phone number",
    "offline_access": "Stay connected while you are away",
}
"""What every project offers and discovery lists."""
FULL_ACCESS = "full_access"
"""Built in as well, for first-party clients only."""


@dataclass(frozen=True)
class Seed:
    """A user, or with `organization` a member of that organization (B2B), who exists from the start.

    `scopes`: the custom scopes the user's roles allow, None for all of the project's.
    `code`: one-time code that always works for this user; None: random codes, readable at `/_test/otp`.
    """

    email: str
    verified: bool = True
    scopes: tuple[str, ...] | None = None
    name: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    organization: str | None = None
    external_id: str | None = None


DEFAULT_USERS = (
    Seed("ada@example.com", name={"first_name": "Ada", "last_name": "Lovelace"}, code=FIXED_CODE),
    Seed("grace@example.org", name={"first_name": "Grace", "last_name": "Hopper"}, code=FIXED_CODE),
)


@dataclass
class Settings:
    """Switches, each settable through `POST /_test/settings`.

    Where Stytch's own behaviour is UNCONFIRMED the switch exists so that both can be tested.
    """

    authorization_url: str | None = None
    """Echoed as `authorization_endpoint`; None: discovery answers 400 as an unconfigured project."""
    dcr_enabled: bool = True
    dcr_status: int = 200
    """Status of a successful registration. UNCONFIRMED: 200 or 201."""
    dcr_default_method: Literal["none", "client_secret_basic"] = "none"
    """The `token_endpoint_auth_method` of a client that names none."""
    dcr_custom_schemes: bool = True
    """Whether `cursor://...` may be registered. UNCONFIRMED."""
    dcr_access_token_template: str = ""
    cimd_enabled: bool = True
    cimd_allow_http: bool = True
    """Client ID metadata documents over http from loopback, which Stytch itself never allows."""
    cimd_ca: str | None = None
    """Certificates (PEM) that may vouch for the hosts of such documents; None: the public ones."""
    cimd_seconds: float = 5.0
    """How long fetching such a document may take in all. UNCONFIRMED."""
    aud_resources: Literal["append", "ignore"] = "ignore"
    """Whether `resources` given at authorize join `aud`. UNCONFIRMED; the token request's never do."""
    localhost_any_port: bool = False
    """Whether the port of a `localhost` redirect URI is ignored, as it is for 127.0.0.1. UNCONFIRMED."""
    quirk_double_question: bool = False
    """A redirect URI that has a query gets a second `?`, as seen on Stytch by a third party."""
    token_errors: Literal["stytch", "oauth"] = "stytch"
    """`error` at the OAuth endpoints: Stytch's error type, or RFC 6749 section 5.2's code. UNCONFIRMED."""
    code_seconds: int = 600
    """Life of an authorization code. UNCONFIRMED."""
    auto_login: str = "ada@example.com"
    """Who is logged in at `/_test/authorize` and at social log-in when the request names nobody."""
    auto_consent: bool = True
    """Whether `/_test/authorize` says yes for the user."""


@dataclass(frozen=True)
class Config:
    """One Stytch project. `domain` is the origin it is reached at, without a trailing slash: the issuer."""

    domain: str
    authorization_url: str | None = None
    scopes: Mapping[str, str] = field(default_factory=dict)
    """The project's custom scopes: name -> description."""
    project_id: str = PROJECT_ID
    secret: str = SECRET
    public_token: str = PUBLIC_TOKEN
    project_name: str = "Local"
    users: tuple[Seed, ...] = DEFAULT_USERS
    m2m_clients: Mapping[str, str] = field(default_factory=lambda: {M2M_CLIENT_ID: M2M_CLIENT_SECRET})
    login_redirect_urls: tuple[str, ...] | None = None
    """Where magic links and social log-in may return to (Stytch: Redirect URLs); None: anywhere."""
    trusted_token_profiles: Mapping[str, str] = field(default_factory=dict)
    """Profile id -> PEM public key whose JWTs `sessions.attest` accepts."""
    clock: Callable[[], float] = time.time
    controls: Literal["loopback", "anyone", "off"] = "loopback"
    """Who may use `/_test/`."""
    settings: Settings = field(default_factory=Settings)
    """What `/_test/reset` returns to."""
    signing_key: RSAPrivateKey | None = None
    """None: a new RSA-2048 key at start."""
    cimd_transport: httpx.AsyncBaseTransport | None = None
    """Fetches client ID metadata documents; None: the network."""
