"""Runs the blocks of a page that are marked as runnable, as a reader would type them, and compares what they print.

    ```{ .console .runnable }            lines with `$ ` are commands, the others what they print
    ```{ .console .runnable .stays }     the same for one command that runs until the next of these
    ```{ .console .runnable .fails }     the same for commands that end with an error
    ```{ .python .runnable title="x" }   a file: written to x

Blocks that are `.rehearsed` in place of `.runnable` are run against stand-ins for what the page is about.

In what is printed, `...` stands for any part of a line, and on a line of its own for any lines.
"""

import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bake import ROOT, project_files
from repository import repository as address_of_the_repository

BLOCK = re.compile(r"^( *)```\{([^}\n]*)\}\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
PROMPT = "$ "
ELLIPSIS = "..."
END = "end-of-command"
PAGE_PORTS = range(8000, 8004)


@dataclass(frozen=True)
class Block:
    """A marked block: its classes, the file that it is (or nothing), and its lines."""

    classes: frozenset[str]
    title: str
    text: str


def blocks(page: str, mark: str = "runnable") -> Iterator[Block]:
    """The blocks of a page that are marked so, in order."""
    for indent, head, text in BLOCK.findall(page):
        classes = frozenset(re.findall(r"\.([\w-]+)", TITLE.sub("", head)))
        if mark in classes:
            title = TITLE.search(head)
            plain = re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
            yield Block(classes, title[1] if title else "", plain)


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block with the lines that it shall print. A backslash at the end goes on with the next line."""
    command, shown = "", list[str]()
    for line in text.splitlines():
        if line.startswith(PROMPT):
            if command:
                yield command, shown
            command, shown = line.removeprefix(PROMPT), []
        elif command.endswith("\\"):
            command = f"{command}\n{line}"
        else:
            shown.append(line)
    yield command, shown


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What these lines allow."""
    parts = []
    for line in lines:
        if line.strip() == ELLIPSIS:
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.rstrip().split(ELLIPSIS)) + r"[ \t]*\n")
    return re.compile("".join(parts))


def same(lines: list[str], printed: str) -> bool:
    """Whether a command printed what the page says; empty lines at both ends do not count."""
    return bool(pattern("\n".join(lines).strip("\n").splitlines()).fullmatch(f"{printed.strip()}\n".lstrip("\n")))


@dataclass
class Reader:
    """Somebody who follows a page in a folder. `port`: the first of the four that stand for 8000 to 8003.

    `mark`: which blocks to follow; `public`: an origin that stands for the first port too.
    """

    folder: Path
    environment: dict[str, str]
    port: int
    mark: str = "runnable"
    public: str = ""
    staying: list[subprocess.Popen[str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop()
        self._shell.communicate("exit\n")

    def follow(self, page: str) -> int:
        """Do all that a page says, its snippets in place; how many blocks that was."""
        count = 0
        for block in blocks(page, self.mark):
            count += 1
            self.do(block)
        return count

    def do(self, block: Block) -> None:
        """Write the file that a block is, or run its commands."""
        if block.title:
            file = self._here() / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            # A snippet that is a whole file brings the end of its last line.
            file.write_text(block.text.rstrip("\n") + "\n", encoding="utf-8")
            return
        for command, shown in steps(block.text):
            lines = [self._moved(line) for line in shown]
            if "stays" in block.classes:
                self.start(self._moved(command), lines)
            else:
                self._run(self._moved(command), lines, fails="fails" in block.classes)

    def give(self, name: str, value: str) -> None:
        """Set a variable for what comes."""
        self._ask(f"export {name}={shlex.quote(value)}")

    def _moved(self, text: str) -> str:
        """The ports of the page."""
        if self.public:
            text = text.replace(self.public, f"http://127.0.0.1:{self.port}")
        for port in PAGE_PORTS:
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.port + port - PAGE_PORTS[0]}")
        return text

    def _here(self) -> Path:
        return Path(self._ask("pwd")[0].strip())

    def _ask(self, command: str) -> tuple[str, int]:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '%s %s\\n' {END} $?\n")
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            text, found, code = line.rpartition(END)
            if found:
                return "".join([*printed, text]), int(code)
            printed.append(line)
        raise AssertionError(f"the shell ended in: {command}")

    def _run(self, command: str, shown: list[str], *, fails: bool) -> None:
        printed, code = self._ask(command)
        assert (code != 0) == fails, f"$ {command}\nexited with {code}\n{printed}"
        assert same(shown, printed), f"$ {command}\nprinted\n{printed}\nand the page says\n" + "\n".join(shown)

    def _stop(self) -> None:
        while self.staying:
            process = self.staying.pop()
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()

    def start(self, command: str, shown: list[str]) -> None:
        """Start what runs until the next of its kind, and wait until it has printed what is shown."""
        self._stop()
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._here(),
            # What `make dev` hands on.
            env=self.environment | {"ARGS": f"--port {self.port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.staying.append(process)
        assert process.stdout is not None
        wanted, printed = pattern(["...", *"\n".join(shown).strip("\n").splitlines()]), ""
        for line in process.stdout:
            printed += line
            if wanted.fullmatch(printed):
                return
        raise AssertionError(f"$ {command}\nended, having printed\n{printed}\nand the page says\n" + "\n".join(shown))


def clone(folder: Path) -> Path:
    """The project, as a repository in `folder`."""
    for file in project_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


def github(home: Path, repository: Path) -> None:
    """Let git find a repository at the address that the pages name."""
    address = address_of_the_repository()
    (home / ".gitconfig").write_text(
        f'[url "{repository}"]\n    insteadOf = {address}.git\n    insteadOf = {address}\n[safe]\n    directory = *\n'
    )


def free_ports() -> int:
    """The first of four ports in a row that nobody has. Those above 32,000 go to outgoing connections meanwhile."""
    while True:
        first = random.randrange(20_000, 32_000)  # noqa: S311
        with ExitStack() as stack, suppress(OSError):
            for each in range(first, first + 4):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
            return first
