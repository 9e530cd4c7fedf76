"""Tools for building and running a Stytch-protected MCP server; never part of the server itself."""

__version__ = "0.2.0"  # the template's
