"""Users out of Stytch, page after page, into a file that grows by whole pages."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from stytch_mcp_kit.migrate.people import kept, person
from stytch_mcp_kit.migrate.services import Stytch

PAGE = 1000
ONLY_THE_OWNER = 0o600


def resume_file(path: Path) -> Path:
    """Where an export that is not complete keeps how far it is."""
    return path.with_name(f"{path.name}.resume")


class ExportFile:
    """One line for each user. Until it is complete, a file beside it tells how long it was after the last whole page.

    Raises FileExistsError for an export that is complete.
    """

    def __init__(self, path: Path) -> None:
        self._state = resume_file(path)
        self.cursor: str | None = None
        size = 0
        if self._state.exists():
            self.cursor, size = read_state(self._state)
        elif path.exists():
            raise FileExistsError(path)
        if not path.exists() or path.stat().st_size < size:
            self.cursor, size = None, 0
        # Before the file itself: a file without this counts as complete.
        self._remember(size)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, ONLY_THE_OWNER), "r+b")
        self._file.truncate(size)
        self.seen = {person(line.decode()).user_id for line in self._file}

    def add(self, lines: Iterable[str], cursor: str | None) -> None:
        """A whole page, and the cursor of the next one; None: this was the last."""
        self._file.seek(0, os.SEEK_END)
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.cursor = cursor
        if cursor is None:
            self._state.unlink()
        else:
            self._remember(self._file.tell())

    def close(self) -> None:
        self._file.close()

    def _remember(self, size: int) -> None:
        fresh = self._state.with_name(f"{self._state.name}.new")
        fresh.write_text(json.dumps({"cursor": self.cursor, "bytes": size}), encoding="utf-8")
        fresh.replace(self._state)


def read_state(state: Path) -> tuple[str | None, int]:
    """The next cursor, and the length of the file; the beginning where that cannot be read."""
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        return found["cursor"], int(found["bytes"])
    except (ValueError, KeyError, TypeError):
        return None, 0


async def export(stytch: Stytch, path: Path, progress: Callable[[int, int], None], page: int = PAGE) -> int:
    """Writes everybody to `path` and returns how many they are.

    Interrupted, it goes on behind the last whole page when it is called again. `progress` gets done and total.
    Raises ServiceError, OSError, FileExistsError for an export that is complete.
    """
    file = ExportFile(path)
    try:
        while True:
            users, cursor, total = await stytch.page(file.cursor, page)
            # Pages shift when somebody registers meanwhile.
            new = {user["user_id"]: kept(user) for user in users if user["user_id"] not in file.seen}
            file.seen |= new.keys()
            file.add(new.values(), cursor)
            progress(len(file.seen), total)
            if cursor is None:
                return len(file.seen)
    finally:
        file.close()
