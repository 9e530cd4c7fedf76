"""One server with every answer that adds something, handled as its owner would: with its own environment."""

import pytest
from conftest import Bake, Run


@pytest.mark.long
def test_a_maximal_server_installs_lints_and_passes_its_tests(bake: Bake, run: Run, python: str) -> None:
    folder = bake(
        mcp_name="weather-station-mcp",
        title="Weather station",
        upstream_auth="bearer",
        license="Apache-2.0",
        kubernetes=True,
        workos_migration=True,
    )
    run("make", "install", f"PYTHON={python}", cwd=folder)
    run("make", "lint", cwd=folder)
    said = run("make", "test", cwd=folder)
    assert " passed" in said
    assert "serve" in run(folder / ".venv" / "bin" / "weather-station-mcp", "--help", cwd=folder)
    # Nothing is installed a second time while nothing changed.
    assert "pip" not in run("make", "install", cwd=folder)
