"""The repository's address: it stands in [project.urls] of pyproject.toml, and everything else asks here."""

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN_OWNER = "OWNER"


def repository() -> str:
    """The address of the repository, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])


def owner_and_name(address: str) -> tuple[str, str]:
    """Whose it is, and what it is called."""
    _, owner, name = urlsplit(address).path.split("/")
    return owner, name


def short(address: str) -> str:
    """As cookiecutter takes it: gh:owner/name."""
    return "gh:" + "/".join(owner_and_name(address))


def pages_address(address: str) -> str:
    """Where GitHub Pages serves the site of a repository."""
    owner, name = owner_and_name(address)
    return f"https://{owner.lower()}.github.io/{name}/"
