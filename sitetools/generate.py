"""Writes every generated page, from what a baked server, the example and the prompts really have.

    python sitetools/generate.py [FOLDER]   into this repository, or into FOLDER for a comparison

A generator is a module of sitetools/generators with a function `pages()`: path below the repository -> text.
"""

import importlib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from bake import bake_defaults  # noqa: E402

EVERYTHING = {"upstream_auth": "bearer", "kubernetes": "yes", "workos_migration": "yes"}


def generators() -> list[str]:
    """The names of the generators."""
    return sorted(path.stem for path in (Path(__file__).parent / "generators").glob("[a-z]*.py"))


def main(destination: Path) -> None:
    """Bake the maximal server, let every generator look at it and write what it says."""
    with tempfile.TemporaryDirectory() as scratch:
        baked = bake_defaults(Path(scratch, "baked"), **EVERYTHING)
        sys.path[:0] = [str(baked / "src"), str(baked / "kit")]
        if (example := ROOT / "examples" / "coda-mcp").exists():
            sys.path.append(str(example / "src"))
        for name in generators():
            for path, text in importlib.import_module(f"generators.{name}").pages().items():
                file = destination / path
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.is_file() or file.read_text(encoding="utf-8") != text:
                    file.write_text(text, encoding="utf-8")
                    print(f"written {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
