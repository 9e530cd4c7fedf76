"""A FastMCP server with JWTVerifier, in an environment of its own. PORT, ISSUER, AUDIENCE."""

import os

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier

PORT = int(os.environ["PORT"])
ISSUER = os.environ["ISSUER"]

verifier = JWTVerifier(
    jwks_uri=f"{ISSUER}/.well-known/jwks.json",
    issuer=ISSUER,
    audience=os.environ["AUDIENCE"],
    required_scopes=["notes:read"],
)
auth = RemoteAuthProvider(token_verifier=verifier, authorization_servers=[ISSUER], base_url=f"http://127.0.0.1:{PORT}")
server = FastMCP("Fast", auth=auth)


@server.tool  # type: ignore[untyped-decorator]
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=PORT, show_banner=False, log_level="ERROR")
