"""The checks, by area, in the order in which a client meets them."""

from typing import Final

from stytch_mcp_kit.check.areas import challenge, issuer, login, protocol, resource, tokens, tools, transport
from stytch_mcp_kit.check.registry import Area, Check

AREAS: Final[tuple[Area, ...]] = (
    transport.TRANSPORT,
    challenge.CHALLENGE,
    resource.RESOURCE,
    issuer.ISSUER,
    issuer.KEYS,
    login.REGISTRATION,
    login.LOGIN,
    tokens.TOKENS,
    tokens.SCOPES,
    protocol.PROTOCOL,
    tools.TOOLS,
    transport.ORIGINS,
    tools.HEALTH,
)
CHECKS: Final[tuple[Check, ...]] = tuple(check for area in AREAS for check in area)
