"""`python -m stytch_mcp_kit.check URL`: the same as `mcp-check URL`."""

from stytch_mcp_kit.check.command import main

if __name__ == "__main__":
    main()
