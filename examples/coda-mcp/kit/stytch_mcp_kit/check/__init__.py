"""`check`: the testing checklist, executable against any MCP server. It imports nothing of the server it checks."""
