"""Bake servers from what git tracks, so that nothing left behind by a tool gets into one.

As a command: python tests/bake.py OUTPUT_DIR  bakes the defaults, replaces what was there and says how it went.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "{{cookiecutter.mcp_name}}"
NAME = "notes-mcp"
PARTS = ("cookiecutter.json", "hooks", TEMPLATE)
PROGRESS_WIDTH = 58


def project_files(*parts: str) -> list[Path]:
    """The project's files below `parts`, relative to the root: tracked, or new and not ignored."""
    listing = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            *parts,
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return sorted({Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()})


def copy_template(destination: Path) -> Path:
    """Copy what cookiecutter reads to `destination` and return it."""
    for file in project_files(*PARTS):
        (destination / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, destination / file)
    return destination


def user_config(folder: Path) -> Path:
    """A cookiecutter configuration that keeps everything in `folder`, whatever the user's own says."""
    config = folder / "cookiecutter.yaml"
    config.write_text(f'cookiecutters_dir: "{folder}/cookiecutters"\nreplay_dir: "{folder}/replay"\n', encoding="utf-8")
    return config


def bake_defaults(output: Path, **answers: str) -> Path:
    """Bake the defaults, but for `answers`, into a new folder of `output` and return it; hooks talk to nobody."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["--no-input", "--output-dir", output, "--config-file", user_config(Path(scratch))]
        template = copy_template(Path(scratch, "template"))
        given = [f"{name}={value}" for name, value in answers.items()]
        subprocess.run(
            [sys.executable, "-m", "cookiecutter", *map(str, command), str(template), *given],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return output / answers.get("mcp_name", NAME)


def file_count(folder: Path) -> int:
    """How many files there are below `folder`."""
    return sum(path.is_file() for path in folder.rglob("*"))


def main(output: Path) -> None:
    """Bake the defaults into `output`; an earlier bake there is replaced."""
    shutil.rmtree(output / NAME, ignore_errors=True)
    started = time.perf_counter()
    folder = bake_defaults(output)
    seconds = time.perf_counter() - started
    label = f"Baking {NAME} from the template "
    print(f"{label:.<{PROGRESS_WIDTH}} {file_count(folder)} files, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
