"""What is fuzzed is judged: a server that breaks a promise is found out, and so is what costs too much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.fuzz import measures
from tests.fuzz.__main__ import Counted, Enough
from tests.fuzz.outcome import Outcome, record
from tests.fuzz.server import SIGNIN_SECRET, Request, Server, good_token, served
from tests.fuzz.subject import Flaw, Subject, repeated
from tests.fuzz.subjects import BEARER

OK: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b""}


class App:
    """Sends what it is told to."""

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)


def answering(*messages: Message) -> App:
    return App(messages)


class Complaining(App):
    """Answers well, and writes to the log."""

    def __init__(self, level: int, words: str) -> None:
        super().__init__((OK, BODY))
        self._level = level
        self._words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        logging.getLogger("complaining").log(self._level, self._words)


class Raising(App):
    """Answers well, logs an exception."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        try:
            raise ValueError
        except ValueError:
            logging.getLogger("raising").warning("oh", exc_info=True)


def header(name: bytes, value: bytes) -> Message:
    return {**OK, "headers": [(name, value)]}


@pytest.fixture(params=["json", "text"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(request.param) as started:
        yield started


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (answering({**OK, "status": 500}, BODY), "no 500"),
        (answering(OK), "a whole answer"),
        (answering(OK, {**BODY, "more_body": True}), "a whole answer"),
        (answering(BODY), "begins with its status"),
        (answering(OK, OK), "begins once"),
        (answering(OK, {**BODY, "body": good_token().encode()}), "no secret"),
        (answering(header(b"location", b"/?" + good_token().rpartition(".")[2].encode()), BODY), "no secret"),
        (answering(OK, {**BODY, "body": b"Traceback (most recent call last):"}), "no traceback"),
        (answering(header(b"a", b"b\r\nset-cookie: a=b"), BODY), "no header line is broken"),
        (Complaining(logging.ERROR, "oh"), "no error in the log"),
        (Complaining(logging.INFO, f"with {SIGNIN_SECRET}"), "no secret"),
        (Raising((OK, BODY)), "no traceback in the log"),
    ],
)
def test_a_server_that_breaks_a_promise_is_found_out(server: Server, app: App, words: str) -> None:
    with pytest.raises(Flaw, match=words):
        server.ask(app, Request())


def test_a_good_server_is_not(server: Server) -> None:
    answer = server.ask(answering(header(b"a", b"b"), {**BODY, "body": b"{}"}), Request())
    assert (answer.status, bytes(answer.body)) == (200, b"{}")


def test_an_answer_that_is_no_json_although_it_says_so_is_found_out(server: Server) -> None:
    app = answering(header(b"content-type", b"application/json"), {**BODY, "body": b"{"})
    with pytest.raises(ValueError, match="Expecting"):
        server.ask(app, Request())


def test_a_task_that_is_left_over_is_found_out() -> None:
    async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait()))
        await App((OK, BODY))(scope, receive, send)

    tasks: list[asyncio.Task[bool]] = []
    with pytest.raises(Flaw, match="no task is left over"), served() as server:
        server.ask(forgetful, Request())


@pytest.mark.parametrize(("power", "steep"), [(1, False), (2, True)])
def test_time_that_grows_with_the_square_is_found_out(monkeypatch: pytest.MonkeyPatch, power: int, steep: bool) -> None:
    spent = 0.0

    def judge(octets: bytes) -> None:
        nonlocal spent
        spent += len(octets) ** power

    monkeypatch.setattr("time.process_time", lambda: spent)
    subject = Subject("growing", BEARER.opened, BEARER.strategy, (), (repeated(b"a"),), largest=4096)
    _, factor = measures.slowest(subject, judge)
    assert factor == 4**power
    assert (factor > measures.STEEPEST) is steep


def test_memory_that_stays_behind_is_found_out() -> None:
    kept: list[bytes] = []

    def leaking(octets: bytes) -> None:
        kept.append(octets * 2)

    inputs = [bytes([number]) * 50 for number in range(250)]
    assert measures.left_behind(lambda octets: None, inputs) < 0.5
    assert measures.left_behind(leaking, inputs) > 0.9


def test_a_finding_is_kept_once_with_its_shortest_input() -> None:
    def judge(octets: bytes) -> None:
        if octets:
            raise ValueError("oh")

    outcome = Outcome("some", "hypothesis")
    counted = Counted(judge, outcome, 4, finish)
    for octets in (b"", b"long", b"a"):
        counted(octets)
    with pytest.raises(Enough):
        counted(b"longer")
    assert outcome.inputs == 4
    assert list(outcome.findings.values()) == [b"a".hex()]
    assert "ValueError in test_judges.py" in next(iter(outcome.findings))


def finish() -> None:
    raise Enough


def test_the_page_has_every_figure_and_every_finding(tmp_path: Path) -> None:
    found = Outcome("tokens", "hypothesis", 1200, 3.0, 0.25, 0.0021, findings={"ValueError in a.py:1: oh": "00ff"})
    order = [("tokens", "hypothesis"), ("tokens", "atheris")]
    record(
        [Outcome("tokens", "atheris", 5000, 2.0, ran="a day"), Outcome("gone", "atheris")], tmp_path / "a.json", order
    )
    record([found], tmp_path / "a.json", order)
    lines = [" ".join(line.split()) for line in (tmp_path / "a.md").read_text(encoding="utf-8").splitlines()]
    assert "| tokens | hypothesis | 1,200 | 3 | 0.25 | 2.1 | | 1 |" in lines
    assert "| tokens | atheris | 5,000 | 2 | | | | 0 |" in lines
    assert "| all | | 6,200 | 5 | | | | 1 |" in lines
    assert {"tokens: ValueError in a.py:1: oh", "00ff", "Run on a day."} <= set(lines)
    assert "gone" not in "".join(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_who_listens_is_known_in_every_encoding_that_is_read(encoding: str) -> None:
    assert Request(body='{"method": "subscriptions/listen"}'.encode(encoding)).listens
    assert not Request(body='{"method": "subscriptions"}'.encode(encoding)).listens
