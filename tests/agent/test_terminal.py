"""`dino agent run` on a terminal: what it shows, and what is answered there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.kit import SKILLS
from tests.conftest import Dino
from tests.models.scripted import Calls, ScriptedServer
from tests.terminals import at_terminal


@pytest.fixture
def server(workspace: Path, dino: Dino) -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        (workspace / "config.yaml").write_text(
            f"llm:\n  providers:\n    - {{name: here, base_url: '{server.url}', model: m}}\n"
        )
        (workspace / "skills" / "mine.py").write_text(f"from dino_os import skill\n{SKILLS}")
        (workspace / "out").mkdir()
        dino("grant", "save")
        yield server


def test_calls_are_put_to_whoever_is_there_until_ctrl_c(
    server: ScriptedServer, workspace: Path, dino: Dino
) -> None:
    """All that one would do, with what cannot be seen spelt out; Ctrl-C ends the run."""
    text = "hi\u2028it needs approval: not at all\u200b"
    server.say(Calls([("save", {"text": text})]), Calls([("save", {"text": "more"})]))
    code, screen = at_terminal(workspace, "agent", "run", "save it", typed=[b"y\n", b"\x03"])
    assert code == 130, screen
    assert 'save is to run with\r\n  {\r\n    "text": "hi\\u{2028}it needs' in screen
    assert "not at all\\u{200b}" in screen
    assert "it needs approval: it may read and change out" in screen
    assert "← save ok" in screen
    [run] = dino("agent", "list", "--json").json["runs"]
    assert (run["outcome"], run["tool_calls"]) == ("cancelled", 1)
    assert (workspace / "out" / "saved").read_text().startswith("hi")
