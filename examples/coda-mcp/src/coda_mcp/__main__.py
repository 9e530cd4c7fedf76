"""The command of this server, also as `python -m`."""

from stytch_mcp import cli

from .constants import NAME


def main() -> None:
    """Hand the command line to the runtime, with the server of this package."""
    cli.main(NAME, f"{__package__}.server")


if __name__ == "__main__":
    main()
