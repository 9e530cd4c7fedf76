"""A bearer string -> a principal, or the reason why not (OAuth 2.1 section 5.2, RFC 9068 section 4).

The steps stand in the order in which they are taken; each refusal has its own reason.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import jwt

from stytch_mcp.protect import reasons
from stytch_mcp.protect.issuers import Issuer, Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.reasons import Reason, Refused
from stytch_mcp.protect.remote import Clock

MAX_TOKEN_BYTES = 8 * 1024
LEEWAY_SECONDS = 30
REMEMBER_SECONDS = 60.0
REMEMBER_TOKENS = 2048
LONGEST_DETAIL = 120
TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
# Beyond it a float no longer tells seconds apart.
MAX_TIME = 2**53

_COMPACT_JWS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)


class Verifier:
    """Judges access tokens of the given issuers.

    Verified claims are remembered by the hash of the token, for a minute at most; time is evaluated on every call.
    """

    def __init__(
        self,
        issuers: Sequence[tuple[Issuer, Keys]],
        *,
        now: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self._issuers = {issuer.issuer: (issuer, keys) for issuer, keys in issuers}
        self._now = now
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """The principal of an access token. Raises Refused with status 401, or 503 when keys cannot be had."""
        if len(token) > MAX_TOKEN_BYTES:
            raise Refused(reasons.TOO_LONG, f"{len(token)} bytes")
        digest = hashlib.blake2b(token.encode()).digest()
        principal = self._recall(digest)
        if principal is None:
            principal = await self._judge(token)
            self._remember(digest, principal)
        self._check_time(principal)
        return principal

    async def _judge(self, token: str) -> Principal:
        header, unverified = _parse(token)
        issuer, keys = self._issuer_of(unverified)
        try:
            key = await keys.get(_key_id(header, issuer))
            claims = _verify(token, key, issuer, unverified)
            return _principal(claims, issuer)
        except Refused as refused:
            refused.issuer = issuer.issuer
            client_id = unverified.get("client_id")
            refused.client_id = client_id[:120] if isinstance(client_id, str) else None
            raise

    def _issuer_of(self, unverified: dict[str, Any]) -> tuple[Issuer, Keys]:
        """The issuer that the token claims to be from: it chooses the keys that then decide."""
        claimed = unverified.get("iss")
        known = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if known is None:
            raise Refused(reasons.UNKNOWN_ISSUER, f"iss is {_short(claimed)}")
        return known

    def _check_time(self, principal: Principal) -> None:
        now, claims = self._now(), principal.claims
        if claims["exp"] <= now - LEEWAY_SECONDS:
            raise _about(principal, reasons.EXPIRED, f"exp was {now - claims['exp']:.0f} s ago")
        for name in ("nbf", "iat"):
            if claims.get(name, 0) > now + LEEWAY_SECONDS:
                raise _about(principal, reasons.NOT_YET_VALID, f"{name} is {claims[name] - now:.0f} s ahead")

    def _recall(self, digest: bytes) -> Principal | None:
        principal, since = self._remembered.get(digest, (None, 0.0))
        if principal is not None and self._clock() - since <= REMEMBER_SECONDS:
            return principal
        self._remembered.pop(digest, None)
        return None

    def _remember(self, digest: bytes, principal: Principal) -> None:
        self._remembered[digest] = (principal, self._clock())
        while len(self._remembered) > REMEMBER_TOKENS:
            self._remembered.popitem(last=False)


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that nobody vouches for yet."""
    if not _COMPACT_JWS.fullmatch(token):
        raise Refused(reasons.MALFORMED, "not three base64url parts")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.DecodeError, ValueError, RecursionError) as error:
        raise Refused(reasons.MALFORMED, type(error).__name__) from None
    except jwt.InvalidTokenError as error:
        # PyJWT looks at these two parameters, and no others, as soon as it has read the header.
        reason = reasons.CRITICAL_HEADER if "crit" in str(error).lower() else reasons.NO_KEY_ID
        raise Refused(reason, _short(str(error))) from None
    return parts["header"], parts["payload"]


def _key_id(header: dict[str, Any], issuer: Issuer) -> str:
    """The key that the header names, once the header has nothing that is not accepted (RFC 7515 section 4.1)."""
    if header.get("alg") not in issuer.algorithms:
        raise Refused(reasons.WRONG_ALGORITHM, f"alg is {_short(header.get('alg'))}")
    if "crit" in header:
        raise Refused(reasons.CRITICAL_HEADER, f"crit is {_short(header['crit'])}")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
        raise Refused(reasons.WRONG_TYPE, f"typ is {_short(kind)}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise Refused(reasons.NO_KEY_ID)
    return kid


def _verify(token: str, key: jwt.PyJWK, issuer: Issuer, unverified: dict[str, Any]) -> dict[str, Any]:
    """The claims, once signature, presence, audience and form are right. Time is judged apart, on every request."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(issuer.algorithms),
            audience=issuer.audiences,
            issuer=issuer.issuer,
            options={
                "require": list(issuer.required_claims),
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise Refused(reasons.WRONG_SIGNATURE) from None
    except jwt.MissingRequiredClaimError as error:
        raise Refused(reasons.MISSING_CLAIM, f"{error.claim} is missing") from None
    except jwt.InvalidAudienceError:
        raise Refused(reasons.WRONG_AUDIENCE, "aud is " + _short(unverified.get("aud"))) from None
    except (jwt.PyJWTError, ValueError) as error:
        raise Refused(reasons.WRONG_CLAIM, type(error).__name__) from None
    for name in ("exp", "iat", "nbf"):
        if name in claims and not _is_time(claims[name]):
            raise Refused(reasons.WRONG_CLAIM, f"{name} is not a number of seconds")
    return claims


def _principal(claims: dict[str, Any], issuer: Issuer) -> Principal:
    flaw = issuer.flaw(claims)
    if flaw is not None:
        raise Refused(reasons.WRONG_TOKEN_KIND, flaw)
    return issuer.principal(claims)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_TIME


def _about(principal: Principal, reason: Reason, detail: str) -> Refused:
    return Refused(reason, detail, issuer=principal.issuer, client_id=principal.client_id)


def _short(value: object) -> str:
    """A claim as it may stand in a log: bounded, and never the token itself."""
    return repr(value)[:LONGEST_DETAIL]
