"""The OAuth 2.1 resource server: who may come in, and what they may do.

Imports neither MCP nor Stytch: the modules here see ASGI messages, tokens and claims.
"""
