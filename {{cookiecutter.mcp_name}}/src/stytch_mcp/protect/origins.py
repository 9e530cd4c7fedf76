"""Origins (RFC 6454): the public URL of the server, and what Host and Origin headers may say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

DEFAULT_PORTS = {"https": 443, "http": 80}

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?")


@dataclass(frozen=True)
class PublicUrl:
    """An origin that was checked by `origin()`."""

    origin: str

    @property
    def is_production(self) -> bool:
        """https means that strangers can reach it."""
        return self.origin.startswith("https://")

    @cached_property
    def hosts(self) -> frozenset[str]:
        """What a Host header may say: the host of this origin; the default port may be spelled out."""
        scheme, _, authority = self.origin.partition("://")
        return frozenset({authority, f"{authority}:{DEFAULT_PORTS[scheme]}"})

    def is_host(self, values: Sequence[str]) -> bool:
        """Whether exactly one Host header came and it names this origin."""
        return len(values) == 1 and values[0].lower() in self.hosts


def origin(text: str) -> str:
    """Checks an origin: https, or http on loopback; no path, no closing slash, lower case.

    Returns the text unchanged. Raises ValueError with words that name the way out.
    """
    _check_text(text)
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.path or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError(f"has more than scheme, host and port: {parts.scheme}://{parts.netloc}")
    if not (_HOST_NAME.fullmatch(host) or is_address(host)) or parts.netloc.endswith(":"):
        raise ValueError("has no valid host name")
    if text != text.lower():
        raise ValueError(f"has capital letters, and clients compare it byte by byte: {text.lower()}")
    if parts.scheme not in DEFAULT_PORTS or (parts.scheme == "http" and not is_loopback(host)):
        raise ValueError(
            f"is not https, and clients refuse anything else (http is for loopback): https://{parts.netloc}"
        )
    if port == DEFAULT_PORTS[parts.scheme]:
        raise ValueError(f"spells out the default port: {text.rpartition(':')[0]}")
    return text


def _check_text(text: str) -> None:
    """What can be said before it is taken apart as a URL."""
    if any(character <= " " for character in text):
        raise ValueError("has spaces or control characters")
    if "://" not in text:
        raise ValueError(f"is not an origin. Give the scheme: https://{text}")
    if "@" in text:
        # A password may hold anything: nothing before the last @ is said again.
        host = text.rpartition("@")[2].partition("/")[0]
        raise ValueError(f"has more than scheme, host and port: {text.partition(':')[0]}://{host}")
    if text.endswith("/"):
        raise ValueError(f'ends with "/", and clients compare it byte by byte: {text.rstrip("/")}')


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
