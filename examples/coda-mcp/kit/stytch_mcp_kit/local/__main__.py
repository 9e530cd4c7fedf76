"""`python -m stytch_mcp_kit.local --port 9100`: the stand-in alone."""

import click
import uvicorn

from stytch_mcp_kit.local import create_app
from stytch_mcp_kit.local.config import PROJECT_ID, PUBLIC_TOKEN, SECRET, Config


@click.command()
@click.option("--port", default=9100, show_default=True, help="Port on loopback.")
@click.option("--authorization-url", help="Your log-in and consent page; default: a page that always says yes.")
@click.option("--scope", "scopes", multiple=True, help="A custom scope of the project, for example notes:read.")
def main(port: int, authorization_url: str | None, scopes: tuple[str, ...]) -> None:
    """Run a local stand-in for Stytch on this machine."""
    domain = f"http://127.0.0.1:{port}"
    config = Config(
        domain=domain,
        authorization_url=authorization_url or f"{domain}/_test/authorize",
        scopes={scope: f"Use {scope}" for scope in scopes},
    )
    click.echo(f"STYTCH_DOMAIN={domain}\nSTYTCH_PROJECT_ID={PROJECT_ID}")
    click.echo(f"STYTCH_SECRET={SECRET}\nSTYTCH_PUBLIC_TOKEN={PUBLIC_TOKEN}")
    uvicorn.run(create_app(config), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
