"""Ports on loopback, taken before anything starts."""

import errno
import socket
import sys
from collections.abc import Sequence

import click

HOST = "127.0.0.1"


class Reservation:
    """One port: ours from now on, to listen on here or to be left to a child at the last moment."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((HOST, port))
        except (OSError, OverflowError):
            self.socket.close()
            raise
        self.port: int = self.socket.getsockname()[1]

    def leave_to_child(self) -> None:
        """Linux lets a child bind beside a bound socket that does not listen, so there it stays held."""
        if sys.platform != "linux":
            self.socket.close()

    def close(self) -> None:
        self.socket.close()


def reserve(first: int, parts: Sequence[str | None]) -> dict[str, Reservation]:
    """A port for each part: `first` and those after it, or any free ones when `first` is 0. None leaves one out.

    Raises `click.ClickException` that names every port that cannot be had and the part that wanted it.
    """
    reserved: dict[str, Reservation] = {}
    problems = []
    for number, part in enumerate(parts):
        if part is None:
            continue
        port = first + number if first else 0
        try:
            reserved[part] = Reservation(port)
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            problems.append(f"port {port} ({part}) {'is taken' if taken else 'cannot be used'}")
    if problems:
        for reservation in reserved.values():
            reservation.close()
        message = "; ".join(problems)
        raise click.ClickException(f"{message}. Choose others with --port, or any free ones with --port 0.")
    return reserved
