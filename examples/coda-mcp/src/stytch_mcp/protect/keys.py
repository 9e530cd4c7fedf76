"""The public keys of one issuer (RFC 7517), fetched, refreshed and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from stytch_mcp.protect.issuers import Issuer
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.reasons import KEYS_UNAVAILABLE, UNKNOWN_KEY, Refused
from stytch_mcp.protect.remote import Clock, Remembered, Unavailable, fetch_json

REFRESH_AFTER_SECONDS = 300.0
KEEP_FOR_SECONDS = 24 * 3600.0
UNKNOWN_KEY_SECONDS = 30.0
MAX_KEYS = 32
MIN_KEY_BITS = 2048


class Keys:
    """Signing keys by `kid`. Refreshed every five minutes, kept for 24 hours while the issuer is down."""

    def __init__(
        self, issuer: Issuer, metadata: IssuerMetadata, client: httpx.AsyncClient, clock: Clock = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._metadata = metadata
        self._client = client
        self._clock = clock
        self._asked_for_unknown: float | None = None
        self._keys: Remembered[Mapping[str, jwt.PyJWK]] = Remembered(
            self._fetch, refresh_after=REFRESH_AFTER_SECONDS, keep_for=KEEP_FOR_SECONDS, clock=clock
        )

    @property
    def loaded(self) -> bool:
        """Whether tokens of this issuer can be judged now."""
        return self._keys.known is not None

    async def load(self) -> None:
        """Fetch the keys unless they are known, renew old ones in the background; a failure shows in `loaded`."""
        with suppress(Unavailable):
            await self._keys.get()

    async def get(self, kid: str) -> jwt.PyJWK:
        """The key of this id.

        An unknown id causes one fetch, and no other for 30 s: a flood of invented ids costs the issuer nothing.
        Raises Refused: KEYS_UNAVAILABLE (503) when the answer needs keys that cannot be had, else UNKNOWN_KEY (401).
        """
        try:
            keys = await self._keys.get()
            if kid not in keys and self._may_ask_for_unknown():
                await self._keys.refresh()
                keys = await self._keys.get()
        except Unavailable as error:
            raise self._unavailable(error.retry_after) from None
        if kid in keys:
            return keys[kid]
        if self._keys.failing:
            raise self._unavailable(int(UNKNOWN_KEY_SECONDS))
        raise Refused(UNKNOWN_KEY, f"kid {kid[:80]!r} is not published", issuer=self._issuer.issuer)

    def _unavailable(self, retry_after: int) -> Refused:
        return Refused(KEYS_UNAVAILABLE, "keys not loaded", issuer=self._issuer.issuer, retry_after=retry_after)

    def _may_ask_for_unknown(self) -> bool:
        now = self._clock()
        if self._asked_for_unknown is not None and now - self._asked_for_unknown < UNKNOWN_KEY_SECONDS:
            return False
        self._asked_for_unknown = now
        return True

    async def _fetch(self) -> Mapping[str, jwt.PyJWK]:
        url = self._issuer.keys_url or await self._metadata.keys_url()
        document, _ = await fetch_json(self._client, url)
        entries = document.get("keys")
        if not isinstance(entries, list):
            raise Unavailable(f"{url} has no list of keys")
        parsed = (_parse(entry, self._issuer.algorithms) for entry in entries[:MAX_KEYS])
        keys = {key.key_id: key for key in parsed if key is not None and key.key_id is not None}
        if not keys:
            raise Unavailable(f"{url} has no usable key")
        return keys


def _parse(entry: Any, algorithms: tuple[str, ...]) -> jwt.PyJWK | None:
    """A signature key for one of the algorithms, or None: issuers publish keys for other purposes too."""
    if not isinstance(entry, dict) or entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
        return None
    if "d" in entry:  # a private key: completing one of the wrong numbers takes minutes
        return None
    if not isinstance(entry.get("kid"), str) or entry.get("alg", algorithms[0]) not in algorithms:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=entry.get("alg", algorithms[0]))
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if not isinstance(key.key, RSAPublicKey) or key.key.key_size < MIN_KEY_BITS:
        return None
    return key
