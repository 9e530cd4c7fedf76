"""Runs the blocks of a page that are marked as runnable, as a reader would type them, and compares what they print.

    ```{ .console .runnable }            lines with `$ ` are commands, the others what they print
    ```{ .console .runnable .stays }     the same for one command that runs until the next of these
    ```{ .python .runnable title="x" }   a file: written to x

In what is printed, `...` stands for any part of a line, and on a line of its own for any lines.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bake import ROOT

BLOCK = re.compile(r"^( *)```\{([^}\n]*)\}\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
SNIPPET = re.compile(r'^ *--8<-- "([^"]+)"$', re.MULTILINE)
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


def blocks(page: str) -> Iterator[Block]:
    """The runnable blocks of a page, in order."""
    for indent, head, text in BLOCK.findall(page):
        classes = frozenset(re.findall(r"\.([\w-]+)", TITLE.sub("", head)))
        if "runnable" in classes:
            title = TITLE.search(head)
            plain = re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
            whole = SNIPPET.sub(lambda file: (ROOT / file[1]).read_text(encoding="utf-8").rstrip("\n"), plain)
            yield Block(classes, title[1] if title else "", whole)


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
    """Somebody who follows a page in a folder. `port`: the first of the four that stand for 8000 to 8003."""

    folder: Path
    environment: dict[str, str]
    port: int
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

    def follow(self, page: Path) -> int:
        """Do all that a page says; how many blocks that was."""
        count = 0
        for block in blocks(page.read_text(encoding="utf-8")):
            count += 1
            if block.title:
                file = self._here() / block.title
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")
                continue
            for command, shown in steps(block.text):
                if "stays" in block.classes:
                    self._start(self._moved(command), [self._moved(line) for line in shown])
                else:
                    self._run(self._moved(command), [self._moved(line) for line in shown])
        return count

    def _moved(self, text: str) -> str:
        """The ports of the page."""
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

    def _run(self, command: str, shown: list[str]) -> None:
        printed, code = self._ask(command)
        assert code == 0, f"$ {command}\nexited with {code}\n{printed}"
        assert same(shown, printed), f"$ {command}\nprinted\n{printed}\nand the page says\n" + "\n".join(shown)

    def _stop(self) -> None:
        while self.staying:
            process = self.staying.pop()
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()

    def _start(self, command: str, shown: list[str]) -> None:
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
