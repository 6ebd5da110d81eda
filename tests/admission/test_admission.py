"""From asking to granting, on the command line: in cron, at a terminal, and in the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal
from tests import terminals
from tests.conftest import Dino

CODE = """from dino_os import skill


@skill(reads=["data/"], writes=["reports/"])
def report() -> str:
    with open("reports/out.txt", "w") as file:
        file.write(open("data/in.txt").read().upper())
    return "written"
"""


@pytest.fixture
def skill(workspace: Path) -> Path:
    """A skill that reads data/ and writes reports/."""
    (workspace / "data").mkdir()
    (workspace / "data" / "in.txt").write_text("in")
    file = workspace / "skills" / "mine.py"
    file.write_text(CODE)
    return file


def record(workspace: Path) -> list[dict[str, Any]]:
    file = workspace / "memory" / "security_log.jsonl"
    return [dict(event) for event in Journal(file).events()] if file.exists() else []


def test_without_a_terminal_it_is_denied_and_told_how_to_allow_it(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    """Exit code 3, nothing ran, the exact command, and both in the record."""
    refused = dino("run", "report", code=3)
    assert (
        "skill 'report' was not run: it may not read data/; read and change reports/" in refused.err
    )
    assert "dino grant report" in refused.err
    assert refused.out == ""
    assert not (workspace / "reports").exists()
    assert not (workspace / "memory" / "runs.jsonl").exists()
    (denied,) = [event for event in record(workspace) if event["event_type"] == "run_denied"]
    assert denied["wanted"] == {"reads": ["data/"], "writes": ["reports/"]}
    assert denied["entity"] == "skill:report"
    as_json = dino("run", "report", "--json", code=3).error
    assert as_json["code"] == "denied"
    assert as_json["hint"] == "allow it with: dino grant report"


def test_the_command_it_was_told_allows_it(dino: Dino, workspace: Path, skill: Path) -> None:
    hint = dino("run", "report", "--json", code=3).error["hint"]
    granted = dino(*hint.partition("dino ")[2].split(), "--json").json
    assert granted["reads"] == ["data/"]
    assert len(granted["sha256"]) == 64
    assert dino("run", "report").out == "written\n"
    assert (workspace / "reports" / "out.txt").read_text() == "IN"
    (event,) = [event for event in record(workspace) if event["event_type"] == "skill_granted"]
    assert event["source_sha256"] == granted["sha256"]
    assert event["entity"] == "tester@script"


def test_a_changed_source_is_denied_until_it_is_granted_again(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    dino("grant", "report")
    skill.write_text(CODE.replace("upper", "title"))
    assert "its source has changed since it was granted" in dino("run", "report", code=3).err
    dino("grant", "report")
    dino("run", "report")
    assert (workspace / "reports" / "out.txt").read_text() == "In"


def test_a_changed_file_beside_it_is_a_changed_source(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    helper = workspace / "skills" / "helper.py"
    helper.write_text("A = 1\n")
    skill.write_text(f"import helper\n{CODE}")
    dino("grant", "report")
    dino("run", "report")
    helper.write_text("A = 2\n")
    assert "has changed" in dino("run", "report", code=3).err


def test_a_grant_for_any_version_outlives_a_change_but_not_a_wider_wish(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    dino("grant", "report", "--any-version")
    skill.write_text(CODE.replace("upper", "title"))
    dino("run", "report")
    skill.write_text(CODE.replace('reads=["data/"]', 'reads=["data/", "more/"]'))
    assert "it may not read more/" in dino("run", "report", code=3).err


def test_the_settings_grant_as_well(dino: Dino, workspace: Path, skill: Path) -> None:
    (workspace / "config.yaml").write_text(
        "sandbox: {grants: {report: {reads: [data/], writes: [reports/]}}}\n"
    )
    dino("run", "report")
    shown = dino("grants", "--json").json["grants"]
    assert shown == {
        "report": [
            {"reads": ["data/"], "writes": ["reports/"], "sha256": None, "source": "config.yaml"}
        ]
    }
    refused = dino("revoke", "report", code=2)
    assert "granted by config.yaml" in refused.err
    assert "sandbox.grants.report" in refused.err


def test_half_by_the_settings_and_half_by_the_record(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    (workspace / "config.yaml").write_text("sandbox: {grants: {report: {reads: [data/]}}}\n")
    assert "it may not read and change reports/" in dino("run", "report", code=3).err
    dino("grant", "report")
    dino("run", "report")
    assert [g["source"] for g in dino("grants", "--json").json["grants"]["report"]] == [
        "record",
        "config.yaml",
    ]


def test_what_was_revoked_is_denied(dino: Dino, workspace: Path, skill: Path) -> None:
    dino("grant", "report")
    assert dino("grants", "--json").json["grants"]["report"][0]["source"] == "record"
    shown = dino("grants").out
    assert all(word in shown for word in ("report", "data/", "reports/", "record"))
    assert dino("revoke", "report", "--json").json == {"skill": "report", "revoked": True}
    dino("run", "report", code=3)
    nothing = {"grants": {}, "permissions": {}, "may_run_without_a_sandbox": {}}
    assert dino("grants", "--json").json == nothing
    assert "nothing is granted" in dino("grants").out
    dino("grant", "report", "--permission", "api_call")
    assert dino("grants", "--json").json["permissions"] == {"report": ["api_call"]}
    assert "report  --permission api_call" in dino("grants").out
    assert "nothing is granted to 'report'" in dino("revoke", "report", code=2).err


def test_leave_to_run_without_a_sandbox_is_shown_and_taken_back(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    given_ = dino("sandbox", "override", "report", "--because", "an old kernel", "--json").json
    assert given_ == {"skill": "report", "because": "an old kernel"}
    assert list(dino("grants", "--json").json["may_run_without_a_sandbox"]) == ["report"]
    assert "may run where no sandbox can be made" in dino("grants").out
    dino("revoke", "report")
    assert dino("grants", "--json").json["may_run_without_a_sandbox"] == {}
    kinds = [event["event_type"] for event in record(workspace)]
    assert kinds[1:] == ["sandbox_overridden", "skill_revoked"]


@pytest.mark.parametrize(
    "arguments",
    [("grant", "reprot"), ("revoke", "reprot"), ("sandbox", "override", "reprot", "--because", "x"),
     ("run", "reprot")],
)  # fmt: skip
def test_a_name_that_nobody_has_is_an_error_with_a_guess(
    dino: Dino, skill: Path, arguments: tuple[str, ...]
) -> None:
    dino("grant", "report")
    refused = dino(*arguments, code=2)
    assert "reprot" in refused.err
    assert "report" in refused.err.replace("reprot", "")


def test_an_override_has_a_reason(dino: Dino, skill: Path) -> None:
    assert "--because" in dino("sandbox", "override", "report", code=2).err


def test_a_permission_that_there_is_none_of_is_an_error(dino: Dino, skill: Path) -> None:
    assert "memory_get" in dino("grant", "report", "--permission", "memory_got", code=2).err


def test_what_nobody_can_grant_is_not_granted(dino: Dino, workspace: Path, skill: Path) -> None:
    skill.write_text(CODE.replace("reports/", "memory/"))
    for door in (("grant", "report"), ("run", "report")):
        assert "would let it change memory" in dino(*door, code=2).err
    assert not [event for event in record(workspace) if event["event_type"] == "skill_granted"]


def test_what_a_skill_does_not_ask_for_it_does_not_get(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    """Granted or not."""
    (workspace / "config.yaml").write_text(
        "sandbox: {grants: {report: {reads: [data/], writes: [reports/, extra/], programs: true}}}\n"
    )
    (workspace / "extra").mkdir()
    skill.write_text(CODE.replace('    return "written"', '    open("extra/x", "w")'))
    dino("run", "report", code=None)
    assert not list((workspace / "extra").iterdir())


def test_a_skill_that_asks_for_nothing_needs_no_leave(dino: Dino, workspace: Path) -> None:
    (workspace / "skills" / "mine.py").write_text(
        "from dino_os import skill\n@skill\ndef plain(): return 1\n"
    )
    assert dino("run", "plain").out == "1\n"
    assert not record(workspace)
    assert "it asks for nothing" in dino("grant", "plain").out


# --- at a terminal -------------------------------------------------------------------------------

AtTerminal = Callable[..., tuple[int, str]]


@pytest.fixture
def at_terminal(workspace: Path) -> AtTerminal:
    """Run `dino …` on a terminal of its own, type something, and give back code and screen."""

    def run(*args: object, typed: bytes) -> tuple[int, str]:
        return terminals.at_terminal(workspace, *args, typed=[typed])

    return run


def test_on_a_terminal_it_is_asked_in_plain_words(
    at_terminal: AtTerminal, workspace: Path, skill: Path
) -> None:
    code, screen = at_terminal("run", "report", typed=b"y\n")
    assert "report asks for leave to:" in screen
    assert "  read data/" in screen
    assert "  read and change reports/" in screen
    assert "Allow this version of it to?" in screen
    assert code == 0
    assert screen.rstrip().endswith("written")
    code, screen = at_terminal("run", "report", typed=b"")
    assert (code, screen.strip()) == (0, "written"), "it is asked once"
    (event,) = [event for event in record(workspace) if event["event_type"] == "skill_granted"]
    assert event["entity"] == "tester@terminal"


@pytest.mark.parametrize("typed", [b"n\n", b"\n", b"no\n"], ids=["no", "nothing", "no in full"])
def test_who_says_no_is_denied(
    at_terminal: AtTerminal, workspace: Path, skill: Path, typed: bytes
) -> None:
    code, screen = at_terminal("run", "report", typed=typed)
    assert code == 3
    assert "was not run" in screen
    assert not (workspace / "reports").exists()
    assert [event["event_type"] for event in record(workspace)][-1] == "run_denied"


@pytest.mark.parametrize(
    ("typed", "expected"), [(b"\x04", 130), (b"\x03", 130)], ids=["end of input", "interrupted"]
)
def test_who_goes_away_allows_nothing(
    at_terminal: AtTerminal, workspace: Path, skill: Path, typed: bytes, expected: int
) -> None:
    code, screen = at_terminal("run", "report", typed=typed)
    assert code == expected
    assert "Traceback" not in screen
    assert not (workspace / "reports").exists()
    assert not [event for event in record(workspace) if event["event_type"] == "skill_granted"]


def test_what_is_not_an_answer_is_asked_again(
    at_terminal: AtTerminal, workspace: Path, skill: Path
) -> None:
    code, screen = at_terminal("run", "report", typed=b"maybe\ny\n")
    assert code == 0
    assert screen.count("Allow this version of it to?") == 2


def test_a_changed_source_is_asked_for_again(
    at_terminal: AtTerminal, workspace: Path, skill: Path
) -> None:
    at_terminal("run", "report", typed=b"y\n")
    skill.write_text(CODE.replace("upper", "title"))
    code, screen = at_terminal("run", "report", typed=b"n\n")
    assert code == 3
    assert "Allow this version of it to?" in screen


def test_what_is_asked_for_cannot_reach_the_terminals_controls(
    at_terminal: AtTerminal, workspace: Path, skill: Path
) -> None:
    hidden = json.dumps("da\x1b[2Jta\u202e/")
    skill.write_text(CODE.replace('"data/"', hidden))
    code, screen = at_terminal("run", "report", typed=b"n\n")
    assert code == 3
    assert "\x1b[2J" not in screen
    assert "\u202e" not in screen
