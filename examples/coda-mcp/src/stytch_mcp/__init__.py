"""The runtime of a Stytch-protected MCP server.

Byte-identical in every server made from the template; the server's own part is the package beside it.
"""

from stytch_mcp.protect.scopes import Scope, needs

__all__ = ["Scope", "needs"]
