"""Delete what was not asked for and say what comes next. Starts nothing, initialises nothing."""

import json
import shutil
from pathlib import Path

ANSWERS = json.loads(r""" {{ cookiecutter | tojson }} """)


def main() -> None:
    """Runs in the folder of the new server."""
    if ANSWERS["license"] == "Proprietary":
        Path("LICENSE").unlink()
    if not ANSWERS["kubernetes"]:
        shutil.rmtree("deploy")
    if not ANSWERS["workos_migration"]:
        shutil.rmtree(Path("kit", "stytch_mcp_kit", "migrate"))

    name, package = ANSWERS["mcp_name"], ANSWERS["__package"]
    install = f"cd {name} && make install"
    width = len(install)
    print(f"Created {name}. Next:")
    print(f"  {install}   # its own .venv, locked and hash-checked")
    print(f"  {'make dev':{width}}   # server + local Stytch on this machine, no account needed")
    print(f"  {'make test':{width}}   # its tests")
    print(f'The tools are yours: src/{package}/tools/. Going live: README, "Go live".')
    if "_commit" not in ANSWERS:  # cruft's
        print('To follow updates, once: cruft link, see README, "Updates".')


main()
