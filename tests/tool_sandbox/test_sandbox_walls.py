"""Which walls stand: what happens where one is missing, or cannot be put up."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import Denied, InvalidInput, NotConfined
from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.kernel import calls
from dino_os.tool_sandbox.policy import Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.tool_sandbox.trial import try_walls
from dino_os.workspace import Workspace
from engines.journal import Journal
from tests.conftest import Dino
from tests.tool_sandbox.conftest import python, standing

SKILL = "from dino_os import skill\n\n\n@skill\ndef answer() -> int:\n    return 6 * 7\n"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bubblewrap that makes no namespaces, found before any other."""
    standing("no-namespaces")
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "bwrap"
    program.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return program


def test_where_bubblewrap_fails_the_other_walls_hold(broken: Path, workspace: Path) -> None:
    with Sandbox(warm=True) as sandbox:
        assert sandbox.walls.bubblewrap == str(broken)
        outcome = sandbox.run(Policy(workspace), python("6 * 7"))
        assert outcome.result == 42
        assert "namespaces" not in outcome.walls
        assert {"landlock", "seccomp"} <= set(outcome.walls)
        assert sandbox.walls.bubblewrap is None, "it fails once and is not asked again"
        assert sandbox.run(Policy(workspace), python("open('/etc/passwd')")).cause in {
            "denied",
            "finished",
        }


def test_where_namespaces_are_required_nothing_less_will_do(broken: Path, workspace: Path) -> None:
    """Also where bubblewrap is found and fails only when it is asked."""
    marker = workspace / "ran"
    job = python(f"open({str(marker)!r}, 'w')")
    with Sandbox(require_namespaces=True) as sandbox:
        for _ in range(2):
            with pytest.raises(NotConfined, match="No permissions to create"):
                sandbox.run(Policy(workspace, writes=("out",)), job)
    assert not marker.exists()


def test_a_function_of_ones_own_needs_walls_that_hold_without_bubblewrap(workspace: Path) -> None:
    own = os.geteuid() == 0
    weak = Walls(bubblewrap="/usr/bin/bwrap", landlock=0, seccomp=True, own_user=own)
    with Sandbox(weak) as sandbox, pytest.raises(NotConfined, match="Landlock 6"):
        sandbox.run(Policy(workspace), {"kind": "mine", "arguments": {}}, functions={"mine": int})


def test_where_bubblewrap_fails_and_nothing_else_holds_nothing_runs(
    broken: Path, workspace: Path
) -> None:
    weak = Walls(bubblewrap=str(broken), landlock=0, seccomp=True, own_user=os.geteuid() == 0)
    with Sandbox(weak) as sandbox, pytest.raises(Exception, match="No permissions to create"):
        sandbox.run(Policy(workspace), python(f"open({str(workspace / 'ran')!r}, 'w')"))
    assert not (workspace / "ran").exists()


def test_where_bubblewrap_fails_status_says_so(broken: Path, dino: Dino) -> None:
    env = {"PATH": os.environ["PATH"]}
    document = dino("sandbox", "status", "--json", env=env).json
    walls = {wall["name"]: wall for wall in document["walls"]}
    assert document["holds"]
    assert not walls["namespaces"]["stands"]
    assert walls["landlock"]["stands"]
    assert "lets it make no namespaces" in walls["namespaces"]["detail"]
    assert "bubblewrap" in document["hint"]


def test_where_the_settings_require_namespaces_nothing_less_will_do(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(layers.possible(), bubblewrap=None)
    monkeypatch.setattr(layers, "possible", lambda: found)
    with pytest.raises(NotConfined, match="the settings require them"):
        layers.walls(namespaces=True)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (Walls(None, 0, seccomp=True), "bubblewrap is not installed"),
        (Walls(None, 5, seccomp=True), "Landlock is of version 5"),
        (Walls("/usr/bin/bwrap", 7, seccomp=False), "filters no system calls"),
        (Walls(None, 0, seccomp=False), "filters no system calls"),
    ],
    ids=["nothing but the filter", "an old landlock", "no filter", "nothing"],
)
def test_what_does_not_enforce_is_no_sandbox(
    there: Walls, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "possible", lambda: there)
    assert not there.enforce
    with pytest.raises(NotConfined, match=why) as refused:
        layers.walls()
    assert "dino sandbox override" in str(refused.value.hint)
    assert refused.value.exit_code == 3


def runs(workspace: Path) -> list[dict[str, Any]]:
    file = workspace / "memory" / "runs.jsonl"
    return [dict(event) for event in Journal(file).events()] if file.exists() else []


def test_without_a_sandbox_nothing_runs_but_by_an_override(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For this version of the skill, with a reason, both of which are recorded."""
    monkeypatch.setattr(layers, "possible", lambda: Walls(None, 0, seccomp=False))
    file = workspace / "skills" / "answer.py"
    file.write_text(SKILL)
    own = Workspace(workspace)
    skill = own.plugins.skills().find("answer")
    with pytest.raises(NotConfined):
        own.runner.run(skill, {})
    assert not [event for event in runs(workspace) if event["event_type"] == "run_started"]
    own.admission.override(skill, "an old kernel", by="ada@terminal")
    run = own.runner.run(skill, {})
    assert (run.result, run.walls) == (42, ("limits",))
    assert runs(workspace)[-1]["sandbox"] == ["limits"]
    events = [dict(e) for e in Journal(workspace / "memory" / "security_log.jsonl").events()]
    (given,) = [e for e in events if e["event_type"] == "sandbox_overridden"]
    assert (given["entity"], given["because"]) == ("ada@terminal", "an old kernel")
    assert given["source_sha256"] == skill.sha256
    file.write_text(SKILL.replace("6 * 7", "7 * 7"))
    other = Workspace(workspace)
    changed = other.plugins.skills().find("answer")
    with pytest.raises(NotConfined):
        other.runner.run(changed, {})


def test_an_override_is_not_used_where_a_sandbox_can_be_made(workspace: Path, dino: Dino) -> None:
    (workspace / "skills" / "answer.py").write_text(SKILL)
    dino("sandbox", "override", "answer", "--because", "for a while")
    document = dino("run", "answer", "--json").json
    assert {"seccomp"} < set(document["sandbox"])


def test_a_wall_that_cannot_be_put_up_stops_the_run(
    walls: Walls, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that the kernel does not take; nothing foreign has run by then."""
    from dino_os.tool_sandbox.kernel import call_filter

    (workspace / "out").mkdir()
    monkeypatch.setattr(call_filter, "program", lambda _: bytes(8))
    with Sandbox(walls) as sandbox, pytest.raises(NotConfined, match="OSError"):
        sandbox.run(Policy(workspace, writes=("out",)), python("open('out/ran', 'w')"))
    assert not list((workspace / "out").iterdir())


def test_a_filter_that_lets_all_through_is_found_out(
    walls: Walls, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import struct

    from dino_os.tool_sandbox.kernel import call_filter

    let_through = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    monkeypatch.setattr(call_filter, "program", lambda _: let_through)
    with Sandbox(walls) as sandbox, pytest.raises(NotConfined, match="does not hold"):
        sandbox.run(Policy(workspace), python("1"))


@pytest.mark.skipif(os.geteuid() != 0, reason="root's alone")
def test_what_roots_launcher_cannot_do_it_says(workspace: Path) -> None:
    gone = replace(layers.possible(), bubblewrap="/usr/bin/no-such-bubblewrap")
    with Sandbox(gone) as sandbox, pytest.raises(NotConfined, match="root's own launcher: FileNot"):
        sandbox.run(Policy(workspace), python("1"))


def test_hosts_are_out_of_reach_without_namespaces(workspace: Path) -> None:
    """Rather too little than too much: the loopback would be the machine's."""
    import socket

    with (
        Sandbox(standing("no-namespaces")) as sandbox,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        port = server.getsockname()[1]
        code = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)"
        outcome = sandbox.run(Policy(workspace, reaches=(f"127.0.0.1:{port}",)), python(code))
    assert outcome.cause == "denied"


@pytest.mark.parametrize("name", ["config.yaml", "memory", "skills/x", ".", "..", "~", ""])
def test_a_policy_that_nobody_may_have_runs_nothing(
    walls: Walls, workspace: Path, name: str
) -> None:
    with Sandbox(walls) as sandbox, pytest.raises(InvalidInput):
        sandbox.run(Policy(workspace, writes=(name,)), python("1"))


def test_status_shows_every_wall(dino: Dino) -> None:
    standing("namespaces")
    shown = dino("sandbox", "status").out
    assert "unknown code is held" in shown
    assert [word in shown for word in ("namespaces", "landlock", "seccomp", "limits")] == [True] * 4
    assert dino("sandbox").out == shown
    document = dino("sandbox", "status", "--json").json
    assert set(document) == {"holds", "verdict", "hint", "walls"}
    assert all(set(wall) == {"name", "stands", "detail"} for wall in document["walls"])


def test_where_nothing_holds_the_trial_says_so(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "possible", lambda: Walls(None, 3, seccomp=True))
    trial = try_walls(workspace)
    assert not trial.holds
    assert trial.verdict.startswith("nothing here holds unknown code")
    assert trial.hint == layers.INSTALL


def test_an_unknown_machine_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MACHINE", "riscv64")
    assert not layers.possible().enforce


def test_a_denial_is_not_an_error_of_the_sandbox() -> None:
    assert not issubclass(Denied, NotConfined)
    assert Denied("x").exit_code == NotConfined("x").exit_code == 3
