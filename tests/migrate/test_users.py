"""Everybody out of Stytch and into WorkOS: nobody lost, nobody twice, and everybody the principal they were."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import SECRET, Seed
from stytch_mcp_kit.local.workos import API_KEY
from stytch_mcp_kit.migrate.export import export, resume_file
from stytch_mcp_kit.migrate.imports import ADOPTED, ALREADY, CREATED, WOULD_ADOPT, WOULD_CREATE, Import, Outcome
from stytch_mcp_kit.migrate.people import ExportError, NotMoved, Person, read, sort_out
from stytch_mcp_kit.migrate.services import ServiceError
from stytch_mcp_kit.migrate.verify import differences, template_problem
from tests.migrate.conftest import ALL, LEFT_OUT, MOVED, UNVERIFIED, WITHOUT_ADDRESS, Move, lines, nothing

pytestmark = pytest.mark.anyio


async def exported(move: Move, path: Path, page: int = 50) -> list[Person]:
    assert await export(move.stytch, path, nothing, page) == len(move.project.users)
    return read(path)


async def imported(move: Move, people: list[Person], **how: bool) -> Outcome:
    return await Import(move.workos, **how).run(people, nothing)


# The export.


async def test_everybody_is_in_the_file_once_and_nothing_else_of_them(move: Move, tmp_path: Path) -> None:
    path = tmp_path / "users"
    people = await exported(move, path)
    assert {somebody.user_id for somebody in people} == set(move.project.users)
    assert len(lines(path)) == ALL
    assert set(lines(path)[0]) == {"user_id", "status", "created_at", "name", "emails", "phones"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not resume_file(path).exists()


async def test_progress_is_told_page_by_page(move: Move, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    await export(move.stytch, tmp_path / "users", lambda done, total: told.append((done, total)), page=100)
    assert told == [(100, ALL), (200, ALL), (ALL, ALL)]


@pytest.mark.parametrize("torn", [b"", b'{"user_id": "user-torn'], ids=["between pages", "within a page"])
async def test_an_interrupted_export_goes_on_behind_the_last_whole_page(
    move: Move, tmp_path: Path, torn: bytes
) -> None:
    path = tmp_path / "users"

    def fail_from_the_third_on(request: httpx.Request, response: httpx.Response | None) -> None:
        if len(move.at_stytch.seen) > 2 and response is None:
            raise httpx.ConnectError("gone")

    move.at_stytch.meddle = fail_from_the_third_on
    with pytest.raises(ServiceError, match=r"^Stytch cannot be reached: ConnectError\.$"):
        await export(move.stytch, path, nothing, page=50)
    assert len(lines(path)) == 100
    with path.open("ab") as file:
        file.write(torn)
    move.at_stytch.meddle = nothing
    asked = len(move.at_stytch.seen)
    people = await exported(move, path)
    assert len(move.at_stytch.seen) - asked == 3, "what was there is not asked for again"
    assert Counter(somebody.user_id for somebody in people) == Counter(list(move.project.users))
    assert len(lines(path)) == ALL


@pytest.mark.parametrize("state", ['{"cursor": "100", "bytes": 999999999}', '{"cursor": "100"}', "", "[]"])
async def test_a_file_that_does_not_fit_to_where_it_stopped_begins_anew(move: Move, tmp_path: Path, state: str) -> None:
    """Somebody deleted or changed one of the two: nobody may be missing for it."""
    path = tmp_path / "users"
    resume_file(path).write_text(state)
    people = await exported(move, path)
    assert {somebody.user_id for somebody in people} == set(move.project.users)


async def test_an_export_that_is_complete_is_not_overwritten(move: Move, tmp_path: Path) -> None:
    path = tmp_path / "users"
    await exported(move, path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        await export(move.stytch, path, nothing)
    assert path.read_bytes() == before


async def test_who_registers_during_an_export_makes_nobody_twice(move: Move, tmp_path: Path) -> None:
    """Pages by position shift when somebody is put in before the others."""

    def somebody_comes(request: httpx.Request, response: httpx.Response | None) -> None:
        if response is not None and len(move.at_stytch.seen) == 2:
            move.project.add_user(Seed("late@example.com"))
            late = list(move.project.users.items())
            move.project.users = dict(late[-1:] + late[:-1])

    move.at_stytch.meddle = somebody_comes
    path = tmp_path / "users"
    await export(move.stytch, path, nothing, page=50)
    assert len(lines(path)) == len({line["user_id"] for line in lines(path)}) == ALL


async def test_a_b2b_project_is_told_apart(move: Move, tmp_path: Path) -> None:
    move.at_stytch.app = _refusing(400, {"error_type": "project_is_b2b"})
    with pytest.raises(ServiceError, match=r"project_is_b2b\. Members of B2B projects are not moved"):
        await export(move.stytch, tmp_path / "users", nothing)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "nonsense",
        {"results": [], "results_metadata": None},
        {"results": [{}], "results_metadata": {}},
        {"results": ["user-1"], "results_metadata": {}},
    ],
    ids=str,
)
async def test_an_answer_that_is_none_is_no_end_of_the_export(move: Move, tmp_path: Path, body: Any) -> None:
    move.at_stytch.app = _refusing(200, body)
    path = tmp_path / "users"
    with pytest.raises(ServiceError):
        await export(move.stytch, path, nothing)
    assert resume_file(path).exists(), "so that nobody takes it for complete"


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials_are_not_tried_again(move: Move, tmp_path: Path, status: int) -> None:
    move.at_stytch.app = _refusing(status, {})
    with pytest.raises(ServiceError, match="does not accept the credentials"):
        await export(move.stytch, tmp_path / "users", nothing)
    assert len(move.at_stytch.seen) == 1


def _refusing(status: int, body: Any) -> Any:
    async def answer(request: Request) -> Response:
        return Response(body, status) if isinstance(body, str) else JSONResponse(body, status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "{}",
        "[]",
        '{"user_id": "", "emails": []}',
        '{"user_id": 7, "emails": []}',
        '{"user_id": "u", "emails": [{"email": "", "verified": true}]}',
        '{"user_id": "u", "emails": [{"email": "a@example.com"}]}',
        '{"user_id": "u", "emails": {"a": "b"}}',
    ],
)
def test_what_is_no_export_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users"
    path.write_text('{"user_id": "u1", "emails": null}\n' + line)
    with pytest.raises(ExportError, match="line 2 is not a user"):
        read(path)


# Who can move.


async def test_who_stays_and_why(move: Move, tmp_path: Path) -> None:
    movable, stay = sort_out(await exported(move, tmp_path / "users"))
    reasons = Counter(each.reason.split(":")[0].split(" with ")[0] for each in stay)
    assert reasons == {
        "no e-mail address, which WorkOS needs": WITHOUT_ADDRESS,
        "no verified e-mail address": UNVERIFIED,
        **{f"shares user{number}@example.com": 2 for number in range(LEFT_OUT)},
    }
    assert len(movable) + len(stay) == ALL
    movable, stay = sort_out(await _again(move, tmp_path), move.twins)
    assert (len(movable), len(stay)) == (MOVED, ALL - MOVED)


async def _again(move: Move, tmp_path: Path) -> list[Person]:
    return read(tmp_path / "users")


def test_the_reasons_name_what_to_do() -> None:
    people = [
        Person("user-1", ("same@example.com",)),
        Person("user-2", ("SAME@example.com", "own@example.com")),
        Person("user-3", (), phones=1),
        Person("u" * 65, ("long@example.com",)),
        Person("user-5", ("five@example.com",)),
    ]
    movable, stay = sort_out(people, {"user-5"})
    assert movable == []
    assert {each.person.user_id: each.reason for each in stay} == {
        "user-1": "shares same@example.com with user-2: choose, and --leave-out the rest",
        "user-2": "shares same@example.com with user-1: choose, and --leave-out the rest",
        "user-3": "a telephone number and no e-mail address, which WorkOS needs",
        "u" * 65: "the user ID is longer than 64 characters",
        "user-5": "left out, as asked",
    }


def test_the_same_user_on_two_lines_is_one_person_as_the_last_line_has_them(tmp_path: Path) -> None:
    path = tmp_path / "users"
    line = '{"user_id": "user-1", "emails": [{"email": "%s@example.com", "verified": true}]}\n'
    path.write_text(line % "old" + line % "new")
    assert read(path) == [Person("user-1", ("new@example.com",))]


# The import.


async def test_two_hundred_people_move_though_the_run_is_interrupted(move: Move, tmp_path: Path) -> None:
    """The connection breaks after WorkOS took somebody in, later altogether; the command is simply run again."""
    people, _ = sort_out(await exported(move, tmp_path / "users"), move.twins)
    posts = 0

    def unsteady(request: httpx.Request, response: httpx.Response | None) -> None:
        nonlocal posts
        if request.method == "POST" and response is not None:
            posts += 1
            if posts == 20:
                raise httpx.ReadError("the answer is lost")
        if posts >= 90 and response is None:
            raise httpx.ConnectError("gone")

    move.at_workos.meddle = unsteady
    first = await imported(move, people)
    assert first.broken == "WorkOS cannot be reached: ConnectError."
    assert 0 < len(move.environment.users) < MOVED
    assert first.not_moved == []
    assert first.done[ALREADY] == 1, "whose answer was lost was found there"

    move.at_workos.meddle = nothing
    second = await imported(move, people)
    assert second.broken is None
    assert second.not_moved == []
    assert second.done == {ALREADY: len(people) - second.done[CREATED], CREATED: second.done[CREATED]}
    assert move.principals == {somebody.user_id: somebody.addresses[0] for somebody in people}
    assert len(people) == MOVED

    third = await imported(move, people)
    assert third.done == {ALREADY: MOVED}
    assert await template_problem(move.workos) is None
    assert await differences(move.workos, people, nothing) == []


async def test_who_they_are_at_workos(move: Move, tmp_path: Path) -> None:
    people, _ = sort_out(await exported(move, tmp_path / "users"), move.twins)
    await imported(move, people)
    users = {str(user.external_id): user for user in move.environment.users.values()}
    for somebody in people:
        user = users[somebody.user_id]
        assert user.email is not None
        assert user.email.verified
        assert user.name == {"first_name": somebody.first_name, "last_name": somebody.last_name}
        others = ", ".join(somebody.addresses[1:])
        assert user.trusted_metadata == ({"other_addresses": others} if others else {})
    assert "second0@example.com" in str([user.trusted_metadata for user in users.values()])
    assert "typo1@example.com" not in str(users), "what was never verified does not move"


async def test_a_dry_run_writes_nothing(move: Move, tmp_path: Path) -> None:
    people, _ = sort_out(await exported(move, tmp_path / "users"), move.twins)
    outcome = await imported(move, people, dry_run=True, adopt=True)
    assert outcome.done == {WOULD_CREATE: MOVED}
    assert {request.method for request in move.at_workos.seen} == {"GET"}
    assert not move.environment.users


async def test_a_limit_is_waited_for(move: Move) -> None:
    """Nobody is lost to it: three attempts each here, and the limit lets one more in after the second."""
    people = [Person(f"user-{number}", (f"user{number}@example.com",)) for number in range(3)]
    refused = Counter[str]()

    def limited(request: httpx.Request, response: httpx.Response | None) -> None:
        if request.method == "POST" and response is None:
            refused[request.content.decode()] += 1
            move.environment.settings.writes = 0 if refused[request.content.decode()] < 3 else 10**6

    move.at_workos.meddle = limited
    outcome = await imported(move, people)
    assert outcome.done == {CREATED: 3}
    assert set(refused.values()) == {3}


ADA = Person("user-live-ada", ("ada@example.com",))


@pytest.mark.parametrize(
    ("seed", "adopt", "becomes", "words"),
    [
        (Seed("ADA@example.com"), False, None, "with --adopt that user becomes this principal"),
        (Seed("ADA@example.com"), True, ADOPTED, ""),
        (Seed("ada@example.com", verified=False), True, None, "never verified it"),
        (Seed("ada@example.com", external_id="user-live-eve"), True, None, "is the principal user-live-eve"),
        (Seed("other@example.com", external_id="user-live-ada"), True, ALREADY, ""),
    ],
    ids=["registered there", "adopted", "somebody else may have", "somebody else is", "moved, address changed"],
)
async def test_an_address_that_is_taken_at_workos(
    move: Move, seed: Seed, adopt: bool, becomes: str | None, words: str
) -> None:
    """Only who proved the mailbox at WorkOS may become the principal: registering with an address proves nothing."""
    before = move.environment.add_user(seed)
    dry = await imported(move, [ADA], adopt=adopt, dry_run=True)
    assert before.external_id == seed.external_id
    outcome = await imported(move, [ADA], adopt=adopt)
    if becomes is None:
        for result in (dry, outcome):
            (left,) = result.not_moved
            assert words in left.reason
        assert before.external_id == seed.external_id
    else:
        assert outcome.done == {becomes: 1}
        assert dry.done == {WOULD_ADOPT if becomes == ADOPTED else becomes: 1}
        assert before.external_id == ADA.user_id
    assert len(move.environment.users) == 1


async def test_what_workos_refuses_is_reported_in_codes(move: Move) -> None:
    outcome = await imported(move, [Person("user-live-bob", ("bob",))])
    (left,) = outcome.not_moved
    assert left == NotMoved(left.person, "WorkOS refuses: unprocessable_entity, email_invalid")


# Are they the same?


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ('{"external_id": {{ user.external_id }}}', True),
        ('{\n  "email": {{ user.email }},\n  "external_id": "{{user.external_id}}" }', True),
        ('{"external_id": {{ user.external_id | default: user.id }}}', True),
        ('{"external_id": {{ user.id }}}', False),
        ('{"externalId": {{ user.external_id }}}', False),
        ("{}", False),
        (None, False),
    ],
)
async def test_the_template_must_tell_who_they_were(move: Move, template: str | None, good: bool) -> None:
    move.environment.jwt_template = template
    problem = await template_problem(move.workos)
    assert (problem is None) is good
    assert good or "external_id" in (problem or "")


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        (None, "not at WorkOS"),
        (Seed("eve@example.com", external_id=ADA.user_id), "none of the person's verified addresses"),
        (Seed("ada@example.com", verified=False, external_id=ADA.user_id), "not verified at WorkOS"),
        (Seed("Ada@example.com", external_id=ADA.user_id), None),
    ],
    ids=["lost", "somebody else", "unverified", "the same"],
)
async def test_what_is_different_about_a_person(move: Move, seed: Seed | None, words: str | None) -> None:
    if seed is not None:
        move.environment.add_user(seed)
    found = await differences(move.workos, [ADA], nothing)
    assert len(found) == (words is not None)
    assert words is None or words in found[0].reason


async def test_a_broken_connection_is_no_verdict(move: Move) -> None:
    move.at_workos.app = _refusing(500, {})
    with pytest.raises(ServiceError, match="answers 500 again and again"):
        await differences(move.workos, [ADA], nothing)


# Secrets.


async def test_no_credential_is_in_any_file_or_error(move: Move, tmp_path: Path) -> None:
    await exported(move, tmp_path / "users")
    assert SECRET not in json.dumps(lines(tmp_path / "users"))
    move.at_workos.app = _refusing(401, {"message": f"bad key {API_KEY}"})
    outcome = await imported(move, [ADA])
    assert outcome.broken == "WorkOS does not accept the credentials (401)."
