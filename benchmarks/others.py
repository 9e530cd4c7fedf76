"""The servers that the generated one is compared with: python others.py KIND; PORT, ISSUER and AUDIENCE.

All but `bare` verify an RS256 token by the issuer's keys; all answer `whoami` alike, stateless and as JSON, and are
else as their documentation has it. The one in TypeScript is in `typescript/`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from pydantic import BaseModel

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken
    from starlette.requests import Request
    from starlette.responses import Response

SCOPE: Final = "notes:read"
# What uvicorn takes where it was installed without extras, as FastMCP requires it.
PLAIN: Final = {"loop": "asyncio", "http": "h11"}
QUICK: Final = {"loop": "uvloop", "http": "httptools"}


class Caller(BaseModel):
    """What `whoami` says."""

    subject: str
    client_id: str
    issuer: str
    scopes: list[str]


def port() -> int:
    """Where to listen."""
    return int(os.environ["PORT"])


def caller(claims: dict[str, Any]) -> Caller:
    """Of a token's claims."""
    return Caller(
        subject=claims["sub"], client_id=claims["client_id"], issuer=claims["iss"], scopes=claims["scope"].split()
    )


class Verifier:
    """PyJWT with the keys that it fetches itself."""

    def __init__(self) -> None:
        import jwt

        self._jwt = jwt
        self._keys = jwt.PyJWKClient(f"{os.environ['ISSUER']}/.well-known/jwks.json")

    def claims(self, token: str) -> dict[str, Any]:
        """Signature, issuer, audience, end. Raises PyJWTError."""
        key = self._keys.get_signing_key_from_jwt(token).key
        issuer, audience = os.environ["ISSUER"], os.environ["AUDIENCE"]
        return self._jwt.decode(token, key, ["RS256"], issuer=issuer, audience=audience)

    async def verify_token(self, token: str) -> AccessToken | None:
        """As the SDK asks for it."""
        from mcp.server.auth.provider import AccessToken

        try:
            claims = self.claims(token)
        except self._jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            subject=claims["sub"],
            claims=claims,
        )


def sdk(verifier: Verifier | None) -> None:
    """Nothing but the official SDK, with its own authentication or with none at all."""
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.mcpserver import MCPServer

    settings = AuthSettings(
        issuer_url=os.environ["ISSUER"],  # type: ignore[arg-type]
        resource_server_url=f"http://127.0.0.1:{port()}/mcp",  # type: ignore[arg-type]
        required_scopes=[SCOPE],
        validate_token_resource=False,
    )
    # At INFO it writes a line for each call on 2025-11-25, which takes longer than the call.
    server = MCPServer("sdk", token_verifier=verifier, auth=settings if verifier else None, log_level="WARNING")
    nobody = json.loads(os.environ["CLAIMS"])

    @server.tool()
    async def whoami() -> Caller:
        """Tell who is logged in."""
        token = get_access_token()
        return caller(token.claims if token is not None and token.claims is not None else nobody)

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, port=port(), access_log=False, log_level="warning", **QUICK)  # type: ignore[arg-type]


def fastmcp(settings: dict[str, str]) -> None:
    """FastMCP with JWTVerifier, run as it runs itself."""
    from fastmcp import FastMCP
    from fastmcp.server.auth import RemoteAuthProvider
    from fastmcp.server.auth.providers.jwt import JWTVerifier
    from fastmcp.server.dependencies import get_access_token

    issuer = os.environ["ISSUER"]
    verifier = JWTVerifier(
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        issuer=issuer,
        audience=os.environ["AUDIENCE"],
        required_scopes=[SCOPE],
    )
    auth = RemoteAuthProvider(
        token_verifier=verifier, authorization_servers=[issuer], base_url=f"http://127.0.0.1:{port()}"
    )
    server = FastMCP("fastmcp", auth=auth)

    @server.tool  # type: ignore[untyped-decorator]
    async def whoami() -> Caller:
        """Tell who is logged in."""
        token = get_access_token()
        assert token is not None
        return caller(token.claims)

    server.run(
        transport="http",
        host="127.0.0.1",
        port=port(),
        show_banner=False,
        log_level="ERROR",
        stateless_http=True,
        json_response=True,
        uvicorn_config={"access_log": False, **settings},
    )


def starlette() -> None:
    """No SDK: one route that reads the request, verifies the token and writes the answer."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    verifier = Verifier()

    async def mcp(request: Request) -> Response:
        claims = verifier.claims(request.headers["authorization"].removeprefix("Bearer "))
        message = json.loads(await request.body())
        said = caller(claims).model_dump()
        content = [{"type": "text", "text": json.dumps(said, indent=2)}]
        result = {"content": content, "structuredContent": said, "isError": False}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})

    app = Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])
    uvicorn.run(app, port=port(), access_log=False, log_level="warning", **QUICK)  # type: ignore[arg-type]


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind in {"bare", "sdk"}:
        sdk(Verifier() if kind == "sdk" else None)
    elif kind == "starlette":
        starlette()
    else:
        fastmcp(PLAIN if kind == "fastmcp" else QUICK)
