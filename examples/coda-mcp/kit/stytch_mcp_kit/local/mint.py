"""Any token a test may want, right or wrong, made with PyJWT."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import HMACAlgorithm

from stytch_mcp_kit.local.keys import SigningKey, new_private_key
from stytch_mcp_kit.local.sessions import start_session
from stytch_mcp_kit.local.state import Client, Project
from stytch_mcp_kit.local.tokens import access_claims, id_claims, m2m_claims, session_claims
from stytch_mcp_kit.local.users import user_by_hint
from stytch_mcp_kit.local.wire import Fields, bad_request

KINDS = ("access", "session", "m2m", "id")
KEYS = ("current", "previous", "foreign", "hs256_public", "none")
CLIENT_ID = "connected-app-test-00000000-0000-4000-8000-000000000001"


class PublicKeyAsSecret(HMACAlgorithm):
    """HMAC keyed with a public key's PEM, which PyJWT rightly refuses: the classic confusion attack."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else key.encode()


def mint(project: Project, fields: Fields) -> str:
    """See the table in `controls`."""
    kind, key_name = fields.text("kind", "access"), fields.text("key", "current")
    if kind not in KINDS:
        raise bad_request(f"kind must be one of {', '.join(KINDS)}.")
    if key_name not in KEYS:
        raise bad_request(f"key must be one of {', '.join(KEYS)}.")
    claims = overridden(base_claims(project, kind, fields), fields.mapping("claims"))
    return signed(project, claims, fields.mapping("header"), key_name, fields.text_or_none("algorithm"))


def base_claims(project: Project, kind: str, fields: Fields) -> dict[str, Any]:
    """The claims a faultless token of that kind has."""
    user = user_by_hint(project, fields.text("email", project.settings.auto_login))
    scopes = ["openid", *(scope for scope in project.config.scopes if user.may(scope))]
    if "scope" in fields:
        scopes = fields.text("scope").split()
    client_id = fields.text("client_id", CLIENT_ID)
    client = project.clients.get(client_id) or Client(client_id, "third_party_public", [], "dashboard")
    if kind == "session":
        return session_claims(project, user, start_session(project, user, 60, []))
    if kind == "m2m":
        return m2m_claims(project, next(iter(project.config.m2m_clients), "m2m-client-test-0"), scopes)
    if kind == "id":
        return id_claims(project, user, client, scopes, nonce=None)
    return access_claims(project, user, client, scopes, fields.texts("resources", []))


def overridden(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """`values` with `overrides` laid over them; null takes a member away."""
    return {name: value for name, value in {**values, **overrides}.items() if value is not None}


def signed(
    project: Project, claims: dict[str, Any], header: dict[str, Any], key_name: str, algorithm: str | None
) -> str:
    """The claims as a compact JWS (RFC 7515), with the payload taken as it is."""
    jws = jwt.PyJWS()
    signer = project.keys.current
    if key_name == "previous":
        if project.keys.previous is None:
            raise bad_request("There is no previous key: rotate first.")
        signer = project.keys.previous
    headers = {"kid": signer.kid, "typ": "JWT", **header}
    headers = {name: value for name, value in headers.items() if value is not None or name == "typ"}
    algorithm = algorithm or {"hs256_public": "HS256", "none": "none"}.get(key_name, "RS256")
    key: Any = signer.private
    if key_name == "foreign":
        key = foreign(project).private
    if algorithm.startswith("ES"):
        key = ec.generate_private_key(ec.SECP256R1())
    if key_name == "hs256_public":
        key = signer.public_pem
        jws.unregister_algorithm("HS256")
        jws.register_algorithm("HS256", PublicKeyAsSecret(PublicKeyAsSecret.SHA256))
    elif key_name == "none":
        key = None
    try:
        return jws.encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=headers)
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise bad_request(f"Such a token cannot be made: {error}") from None


def foreign(project: Project) -> SigningKey:
    """A key that was never published, the same one until the process ends."""
    if project.foreign_key is None:
        project.foreign_key = SigningKey(new_private_key(), project.now())
    return project.foreign_key
