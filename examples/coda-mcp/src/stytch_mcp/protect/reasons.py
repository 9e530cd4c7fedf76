"""Why a request is refused: every reason code, once, with its HTTP status and the words for the client.

The words help the person who sees them and tell nothing about the token or the person it belongs to. What only the
operator may know goes into the log as `detail`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`error` is the code of RFC 6750 section 3.1, or None where the RFC wants none."""

    code: str
    status: int
    error: str | None
    description: str


def _token(code: str, description: str) -> Reason:
    return Reason(code, 401, "invalid_token", description)


WRONG_HOST = Reason("wrong_host", 421, None, "This server does not answer for that host name.")
WRONG_ORIGIN = Reason("wrong_origin", 403, None, "Requests from that web origin are not allowed.")

NO_TOKEN = Reason("no_token", 401, None, "Log in first.")
REPEATED_HEADER = Reason("repeated_header", 401, "invalid_request", "Send the header with the credential exactly once.")
TOKEN_IN_QUERY = Reason(
    "token_in_query", 401, "invalid_request", "Send the token in the Authorization header, never in the URL."
)
NO_ASSERTION = Reason("no_assertion", 401, None, "Come through Cloudflare Access, or with a static token.")

OAUTH_IS_OFF = _token("oauth_is_off", "No OAuth tokens are accepted at present: come through Cloudflare Access.")
TOO_LONG = _token("too_long", "The token is longer than 8 KiB.")
MALFORMED = _token("malformed", "The token is not a JSON Web Token.")
WRONG_ALGORITHM = _token("wrong_algorithm", "The token is signed with an algorithm that is not accepted.")
CRITICAL_HEADER = _token("critical_header", "The token demands an extension that is not supported.")
WRONG_TYPE = _token("wrong_type", "The token is not of type JWT or at+jwt.")
UNKNOWN_ISSUER = _token("unknown_issuer", "The token was issued by an authorization server that is not accepted here.")
NO_KEY_ID = _token("no_key_id", "The token does not name its signing key.")
UNKNOWN_KEY = _token("unknown_key", "The token is signed with a key that its issuer does not publish.")
WRONG_SIGNATURE = _token("wrong_signature", "The signature does not match.")
MISSING_CLAIM = _token("missing_claim", "A claim that access tokens must have is missing.")
WRONG_CLAIM = _token("wrong_claim", "A claim of the token is malformed.")
EXPIRED = _token("expired", "The token has expired.")
NOT_YET_VALID = _token("not_yet_valid", "The token is not valid yet.")
WRONG_AUDIENCE = _token("wrong_audience", "The token was issued for another resource.")
WRONG_TOKEN_KIND = _token("wrong_token_kind", "This is not an access token of a connected application.")
REVOKED = _token("revoked", "The person has disconnected this application.")
BEARER_ENDED = _token("bearer_ended", "The end date of this token has passed.")

KEYS_UNAVAILABLE = Reason(
    "keys_unavailable", 503, None, "The keys of the authorization server cannot be had right now. Try again shortly."
)
SUBJECT_UNAVAILABLE = Reason(
    "subject_unavailable", 503, None, "Who you are cannot be looked up right now. Try again shortly."
)

NOT_ALLOWED = Reason("not_allowed", 403, None, "You are logged in, but this server does not admit you. Ask its owner.")
INSUFFICIENT_SCOPE = Reason(
    "insufficient_scope", 403, "insufficient_scope", "This operation needs a permission that the token does not carry."
)
NOT_JSON = Reason("not_json", 400, None, "The body is not JSON.")
BODY_TOO_LARGE = Reason("body_too_large", 413, None, "The request is larger than this server accepts.")

ALL: tuple[Reason, ...] = tuple(value for value in globals().values() if isinstance(value, Reason))


class Refused(Exception):
    """A request ends here. `detail`, `issuer` and `client_id` are for the log only.

    `retry_after` (seconds) goes with status 503, `scopes` with `insufficient_scope`.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        issuer: str | None = None,
        client_id: str | None = None,
        retry_after: int | None = None,
        scopes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.detail = detail
        self.issuer = issuer
        self.client_id = client_id
        self.retry_after = retry_after
        self.scopes = scopes
