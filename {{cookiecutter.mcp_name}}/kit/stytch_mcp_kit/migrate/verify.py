"""Whether everybody is the same principal under both issuers."""

import re
from collections.abc import Callable, Iterable

import httpx

from stytch_mcp.admission import accepted_issuers
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.verifier import Verifier
from stytch_mcp.settings import Settings
from stytch_mcp_kit.check.login import Browse, Login, clean_up
from stytch_mcp_kit.check.walk import Walk
from stytch_mcp_kit.check.web import Web
from stytch_mcp_kit.migrate.people import NotMoved, Person
from stytch_mcp_kit.migrate.services import Workos, some_at_a_time

TELLS_EXTERNAL_ID = re.compile(r'"external_id"\s*:\s*"?\{\{-?\s*user\.external_id\s*(\|[^}]*)?-?\}\}"?')
TEMPLATE_TO_SET = '{ "external_id": {{ user.external_id }} }'


async def template_problem(workos: Workos) -> str | None:
    """Without the claim in its tokens AuthKit makes everybody a new principal. Raises ServiceError."""
    template = await workos.jwt_template()
    if TELLS_EXTERNAL_ID.search(template):
        return None
    return f"the JWT template of the environment does not tell external_id; it should have: {TEMPLATE_TO_SET}"


async def differences(workos: Workos, people: Iterable[Person], progress: Callable[[], None]) -> list[NotMoved]:
    """Who of those that were to move is not there as the same person. Raises ServiceError."""
    found: list[NotMoved] = []

    async def look(somebody: Person) -> None:
        difference = await compare(workos, somebody)
        if difference is not None:
            found.append(NotMoved(somebody, difference))
        progress()

    await some_at_a_time(people, look)
    return found


async def compare(workos: Workos, somebody: Person) -> str | None:
    """What is different about the WorkOS user who will be this principal, or None."""
    user = await workos.by_external_id(somebody.user_id)
    if user is None:
        return "not at WorkOS"
    if user.get("external_id") != somebody.user_id:
        return f"WorkOS gave the user {user.get('id')}, who is another principal"
    if not somebody.has(user.get("email")):
        return f"at WorkOS the principal is {user.get('email')}, which is none of the person's verified addresses"
    return None if user.get("email_verified") is True else "the address is not verified at WorkOS"


async def logged_in(mcp_url: str, issuer: str, browse: Browse) -> tuple[str, list[str]]:
    """An access token of whoever logs in at this issuer for this server, and what a person should know of it.

    Only the server's name is used, so it may stand at any stage. Raises NotReached with what stood in the way.
    """
    login = Login(browse=browse, scopes=("openid",))
    try:
        async with Web() as web:
            await web.settle(issuer)
            walk = Walk(mcp_url, web, given_issuer=issuer)
            session = await login(walk)
            await clean_up(walk)
            return session.access_token, walk.notes
    finally:
        login.close()


async def judged(
    settings: Settings, tokens: Iterable[str], transport: httpx.AsyncBaseTransport | None = None
) -> list[Principal | Refused]:
    """What the server would make of these tokens, before any ALLOWED_* rule."""
    async with httpx.AsyncClient(transport=transport) as http:
        accepted = accepted_issuers(settings)
        verifier = Verifier([(issuer, Keys(issuer, IssuerMetadata(issuer, http), http)) for issuer in accepted])
        results: list[Principal | Refused] = []
        for token in tokens:
            try:
                results.append(await verifier.verify(token))
            except Refused as refused:
                results.append(refused)
        return results
