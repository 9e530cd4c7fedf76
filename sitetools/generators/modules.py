"""The modules of a server: who imports whom, drawn, and the subject of each in one line, its docstring's first."""

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import grimp
from markdown_text import code, page, table, text


class Drawing(NamedTuple):
    """The modules of a package, packages below it as one box each, and one neighbour of it."""

    title: str
    package: str
    neighbour: str
    words: str


DRAWINGS = [
    Drawing("Server", "stytch_mcp", "notes_mcp", "The runtime, and above it the owner's package."),
    Drawing("Who may come in", "stytch_mcp.protect", "", "`admission` and `app` put these together."),
    Drawing("Sign-in page", "stytch_mcp.signin", "", "`app` imports them when the first browser comes."),
    Drawing("Yours", "notes_mcp", "stytch_mcp", "What a new server begins with."),
    Drawing("Kit", "stytch_mcp_kit", "stytch_mcp", "What builds and runs a server; in no wheel and in no image."),
    Drawing("Checklist", "stytch_mcp_kit.check", "", "It imports nothing of the server that it looks at."),
    Drawing("Local Stytch", "stytch_mcp_kit.local", "", "The stand-ins for Stytch and for WorkOS."),
    Drawing("Migration", "stytch_mcp_kit.migrate", "stytch_mcp", "There when `workos_migration` was asked for."),
]
# Taken out of the kit when the command is called, and only in a checkout.
COMMANDS = {"stytch_mcp_kit.check.command", "stytch_mcp_kit.dev", "stytch_mcp_kit.migrate.commands"}
Arrow = tuple[str, str]


def pages() -> dict[str, str]:
    """reference/modules.md"""
    graph = grimp.build_graph(
        "notes_mcp", "stytch_mcp", "stytch_mcp_kit", cache_dir=None, exclude_type_checking_imports=True
    )
    imports = {(a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
    imports -= {("stytch_mcp.cli", command) for command in COMMANDS}
    content = [
        "An arrow says: imports. Arrows point one way, without a cycle; a test holds them against the contracts in "
        "`tests/importlinter.toml`. An arrow that others make up (a to b, b to c, so a to c) is left out. A rounded box "
        "is a whole package. `dev`, `check` and `migrate` are commands too, but `cli` imports them only when they are "
        "called."
    ]
    for each in DRAWINGS:
        boxes = {each.package, *graph.find_children(each.package)} | ({each.neighbour} - {""})
        packages = {box for box in boxes if graph.find_children(box)} - {each.package}
        content += [f"## {each.title}", each.words, _chart(_between(boxes, imports), packages), _subjects(each.package)]
    return {
        "docs/reference/modules.md": page(
            "Modules", "Who imports whom, and what each module is about.", ["design", "reference"], *content
        )
    }


def _between(boxes: set[str], imports: set[Arrow]) -> set[Arrow]:
    """The arrows between boxes, a module standing for the closest box that it is or lies in."""

    def box(module: str) -> str:
        return max((each for each in boxes if f"{module}.".startswith(f"{each}.")), key=len, default="")

    return {(box(a), box(b)) for a, b in imports if box(a) and box(b) and box(a) != box(b)}


def _chart(arrows: set[Arrow], packages: set[str]) -> str:
    """A flow chart in Mermaid, without the arrows for which there is a longer way."""

    def beyond(start: str) -> set[str]:
        return {end for a, b in arrows if a == start for end in {b, *beyond(b)}}

    def name(box: str) -> str:
        return box.replace(".", "_")

    detours = {(a, end) for a, b in arrows for end in beyond(b)}
    boxes = sorted({end for arrow in arrows for end in arrow})
    labels = {box: box.rpartition(".")[2] for box in boxes}
    lines = [f"    {name(box)}" + (f"([{labels[box]}])" if box in packages else f"[{labels[box]}]") for box in boxes]
    lines += [f"    {name(a)} --> {name(b)}" for a, b in sorted(arrows - detours)]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```"])


def _subjects(package: str) -> str:
    """The modules of a package and of those below it that have no drawing of their own."""
    folder = _folder(package)
    drawn = [_folder(each.package) for each in DRAWINGS if each.package.startswith(f"{package}.")]
    files = [file for file in sorted(folder.rglob("*.py")) if not any(map(file.is_relative_to, drawn))]
    return table(
        ["Module", "Subject"], [(code(file.relative_to(folder).as_posix()), text(_subject(file))) for file in files]
    )


def _subject(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert docstring, file
    return docstring.partition("\n")[0]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
