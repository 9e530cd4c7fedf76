"""The lines of pages that name the repository. Pages take them with --8<--, which MkDocs and Zensical both know."""

from repository import UNKNOWN_OWNER, owner_and_name, repository, short

FILE = "sitetools/repository.txt"
# What a reader has to know where the first command of a page names the repository.
WITHOUT_OWNER = f"`{UNKNOWN_OWNER}` is the account that publishes this repository, not known yet: put its name there."
START, END = "# --8<-- [start:{}]", "# --8<-- [end:{}]"


def pages() -> dict[str, str]:
    """sitetools/repository.txt"""
    address = repository()
    lines = {
        "clone": f"$ git clone --quiet {address}",
        "first-server": f"$ cookiecutter {short(address)} --no-input",
        "another-api": f"$ cookiecutter {short(address)} --no-input mcp_name=github-mcp title=GitHub \\",
        "link": f"$ pipx run cruft link {address}",
        "check": f"$ uvx --from 'git+{address}#subdirectory=examples/coda-mcp/kit' \\",
        "owner": WITHOUT_OWNER if owner_and_name(address)[0] == UNKNOWN_OWNER else "",
        "created": f"| Server template created | `cookiecutter {short(address)}` | |",
    }
    parts = ["# Made by `make generate` from [project.urls] of pyproject.toml."]
    for name, line in lines.items():
        parts += [START.format(name), line, END.format(name)]
    return {FILE: "\n".join(parts) + "\n"}
