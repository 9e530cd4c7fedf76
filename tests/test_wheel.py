"""What a server ships: its own package and the runtime, never the kit, the tests or the stand-in."""

import zipfile
from email.parser import HeaderParser
from pathlib import Path

from conftest import Bake, Run


def wheel(project: Path, run: Run, python: str, out: Path) -> zipfile.ZipFile:
    """Build the project's wheel without a network and open it."""
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, project, cwd=out)
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_of_a_server(bake: Bake, run: Run, python: str, tmp_path: Path) -> None:
    folder = bake(license="Apache-2.0")
    with wheel(folder, run, python, tmp_path) as archive:
        names = archive.namelist()
        metadata = HeaderParser().parsestr(archive.read("notes_mcp-0.1.0.dist-info/METADATA").decode())
        scripts = archive.read("notes_mcp-0.1.0.dist-info/entry_points.txt").decode()
    assert {name.split("/")[0] for name in names} == {"notes_mcp", "stytch_mcp", "notes_mcp-0.1.0.dist-info"}
    sources = {str(path.relative_to(folder / "src")) for path in (folder / "src").rglob("*") if path.is_file()}
    assert sources == {name for name in names if ".dist-info" not in name}
    assert {Path(name).suffix for name in sources} == {".py", ".html", ".css"}
    assert scripts.split("\n")[:2] == ["[console_scripts]", "notes-mcp = notes_mcp.__main__:main"]
    assert (metadata["Name"], metadata["License-Expression"]) == ("notes-mcp", "Apache-2.0")
    assert metadata["License-File"] == "LICENSE"
    unbounded = [each for each in metadata.get_all("Requires-Dist", []) if "<" not in each]
    assert not unbounded


def test_a_proprietary_server_has_a_wheel_too(bake: Bake, run: Run, python: str, tmp_path: Path) -> None:
    with wheel(bake(license="Proprietary"), run, python, tmp_path) as archive:
        assert not [name for name in archive.namelist() if "LICENSE" in name]


def test_the_kit_is_a_distribution_of_its_own(bake: Bake, run: Run, python: str, tmp_path: Path) -> None:
    with wheel(bake() / "kit", run, python, tmp_path) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stytch_mcp_kit"}
