"""A server with nothing but the official SDK: its own authentication, or none. PORT, ISSUER, AUDIENCE; AUTH=none."""

import os

import jwt
import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

PORT = int(os.environ["PORT"])
ISSUER = os.environ["ISSUER"]


class Verifier:
    """As the SDK's documentation shows it: signature, issuer, audience, end."""

    def __init__(self) -> None:
        self.keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            key = self.keys.get_signing_key_from_jwt(token).key
            claims = jwt.decode(token, key, ["RS256"], issuer=ISSUER, audience=os.environ["AUDIENCE"])
        except jwt.PyJWTError:
            return None
        scopes = claims.get("scope", "").split()
        return AccessToken(
            token=token, client_id=claims.get("client_id", ""), scopes=scopes, expires_at=claims.get("exp")
        )


def protected() -> MCPServer:
    """With the scope that every request needs."""
    auth = AuthSettings(
        issuer_url=ISSUER,  # type: ignore[arg-type] # plain text: a URL type would add a slash
        resource_server_url=f"http://127.0.0.1:{PORT}/mcp",  # type: ignore[arg-type]
        required_scopes=["notes:read"],
        validate_token_resource=False,
    )
    return MCPServer("Plain", token_verifier=Verifier(), auth=auth)


server = MCPServer("Open") if os.environ.get("AUTH") == "none" else protected()


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    # A host that is not loopback disarms the SDK's own check of Host and Origin, as behind a proxy.
    uvicorn.run(server.streamable_http_app(host="0.0.0.0"), host="127.0.0.1", port=PORT, log_level="warning")  # noqa: S104
