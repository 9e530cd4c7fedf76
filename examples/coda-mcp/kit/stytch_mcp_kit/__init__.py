"""Tools for building and running a Stytch-protected MCP server; never part of the server itself."""
