"""At every moment one version of a key is served, whatever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import NotFound, SecurityError
from dino_os.security_gateway import SecurityGateway
from dino_os.security_gateway.gateway import Gateway
from dino_os.security_gateway.rotation import GRACE_S
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, environment
from tests.security_gateway.conftest import CANARY, Opened

KILLED = Path(__file__).parent / "programs" / "killed_rotation.py"
OLD, NEW = "the old value", "the new value"


def lives(workspace: Path, verb: str) -> list[dict[str, Any]]:
    """What was found after each kill of *verb*, the last one after none."""
    folder = workspace / "site"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "security: {rate_limit: {requests_per_minute: 1000000, burst: 1000000}}\n"
    )
    gateway = Workspace(folder).security
    gateway.set_key("a", NEW if verb == "rollback" else OLD)
    if verb == "rollback":
        gateway.set_key("a", OLD)
    done = subprocess.run(
        [sys.executable, str(KILLED), str(folder), verb],
        env=environment(PYTHONPATH=str(REPOSITORY), XDG_CONFIG_HOME=str(workspace / "xdg")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [life["code"] for life in found] == [-signal.SIGKILL] * (len(found) - 1) + [0]
    assert len(found) > 8
    return found


@pytest.mark.parametrize("verb", ["rotate", "set", "rollback"])
def test_a_kill_at_any_step_leaves_one_active_version(workspace: Path, verb: str) -> None:
    """The old value up to one step, the new one from there on; and work goes on."""
    found = lives(workspace, verb)
    assert all(life["states"].count("active") == 1 for life in found)
    assert all(life["sound"] and life["after"] == "afterwards" for life in found)
    served = [life["served"] for life in found]
    turn = served.index(NEW)
    assert served == [OLD] * turn + [NEW] * (len(served) - turn)
    assert turn > 0


def test_a_kill_while_deleting_leaves_all_or_nothing(workspace: Path) -> None:
    served = [life["served"] for life in lives(workspace, "delete")]
    assert set(served) == {OLD, None}
    assert served == sorted(served, key=lambda value: value is None)


def test_a_kill_while_the_lock_is_changed_loses_nothing(workspace: Path) -> None:
    found = lives(workspace, "relock")
    assert {life["served"] for life in found} == {OLD}
    assert all(life["after"] == "afterwards" for life in found)


@pytest.fixture
def face(workspace: Path, gateway: Gateway) -> SecurityGateway:
    return SecurityGateway(workspace=Workspace(workspace))


def actions(gateway: Gateway) -> list[str]:
    return [entry["action"] for entry in gateway.get_audit_log()][::-1]


def test_the_old_value_is_served_until_the_new_one_has_passed(
    face: SecurityGateway, opened: Opened
) -> None:
    face.set_key("a", OLD, {"owner": "desk"})
    seen: list[tuple[str, str | None]] = []

    def test(new: str) -> bool:
        seen.append((new, opened().get_key("a")))
        return True

    assert face.rotate_key("a", NEW, test=test)
    assert seen == [(NEW, OLD)]
    assert face.get_key("a") == NEW
    assert opened().describe_keys()[0]["metadata"] == {"owner": "desk"}
    assert [v["state"] for v in opened().key_history("a")] == ["previous", "active"]
    assert actions(opened())[:4] == ["key_set", "key_staged", "key_accessed", "key_rotated"]


@pytest.mark.parametrize("answer", [False, None, 0, ValueError(CANARY), SystemError()])
def test_a_test_that_fails_changes_nothing(
    face: SecurityGateway, opened: Opened, workspace: Path, answer: object
) -> None:
    face.set_key("a", OLD)

    def test(_: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert not face.rotate_key("a", NEW, test=test)
    assert face.get_key("a") == OLD
    assert [v["state"] for v in opened().key_history("a")] == ["active", "abandoned"]
    entry = next(e for e in opened().get_audit_log() if e["action"] == "key_rolled_back")
    assert entry["result"] == "failed"
    assert CANARY not in (workspace / "memory" / "security_log.jsonl").read_text()


def test_an_interrupted_test_changes_nothing(face: SecurityGateway, opened: Opened) -> None:
    face.set_key("a", OLD)

    def test(_: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        face.rotate_key("a", NEW, test=test)
    assert opened().get_key("a") == OLD
    assert [v["state"] for v in opened().key_history("a")] == ["active", "abandoned"]


def test_without_a_value_a_fresh_one_is_made(face: SecurityGateway) -> None:
    face.set_key("a", OLD)
    made = set()
    for _ in range(3):
        assert face.rotate_key("a", test=lambda new: len(new) >= 40)
        made.add(face.get_key("a"))
    assert len(made) == 3


def test_there_is_nothing_to_rotate_where_there_is_no_key(
    face: SecurityGateway, gateway: Gateway
) -> None:
    assert not face.rotate_key("a")
    gateway.set_key("weather", OLD)
    with pytest.raises(NotFound, match="did you mean 'weather'"):
        gateway.stage_key("wether")


def test_of_two_rotations_at_once_the_later_one_counts(opened: Opened) -> None:
    opened().set_key("a", OLD)
    first, second = opened().stage_key("a", "one"), opened().stage_key("a", "two")
    with pytest.raises(SecurityError, match="another rotation took over"):
        opened().promote_key("a", first["version"])
    assert opened().get_key("a") == OLD
    assert opened().promote_key("a", second["version"])
    assert opened().get_key("a") == "two"
    with pytest.raises(SecurityError, match="no longer staged"):
        opened().promote_key("a", second["version"])


def test_there_is_a_way_back_for_a_day(gateway: Gateway) -> None:
    now = [1e9]
    gateway.log.clock = lambda: now[0]
    gateway.set_key("a", "one")
    with pytest.raises(SecurityError, match="no version to go back to"):
        gateway.rollback_key("a")
    gateway.set_key("a", "two")
    assert gateway.rollback_key("a") == 1
    assert gateway.get_key("a") == "one"
    gateway.set_key("a", "three")
    now[0] += GRACE_S + 1
    with pytest.raises(SecurityError, match="no version to go back to"):
        gateway.rollback_key("a")
    assert gateway.get_key("a") == "three"


def test_values_whose_time_is_over_are_gone(gateway: Gateway) -> None:
    """With the next write; and so is the oldest history."""
    now = [1e9]
    gateway.log.clock = lambda: now[0]
    for n in range(20):
        gateway.set_key("a", f"value {n}")
    content = gateway.vault.read()
    assert content is not None
    assert [v.state for v in content.keys["a"] if v.sealed] == ["previous", "active"]
    assert len(content.keys["a"]) == 12
    gateway.stage_key("a", "never promoted")
    now[0] += GRACE_S + 1
    gateway.set_key("b", "another")
    gateway.set_key("a", "the last")
    content = gateway.vault.read()
    assert content is not None
    assert [v.state for v in content.keys["a"] if v.sealed] == ["previous", "active"]
    assert gateway.get_key("a") == "the last"
