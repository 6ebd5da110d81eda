"""A real model behind llama.cpp's own server: a file that is loaded, read to its end, and answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dino_os.agent_core import AgentCore
from dino_os.errors import DinoError
from tests.agent_core.desk import calls, desk, provider
from tests.conftest import REPOSITORY, Dino, environment

pytest.importorskip("xllamacpp", reason="llama.cpp's server is not to be had here")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it is served."""
    folder = tmp_path_factory.mktemp("llama")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.models.tiny_llama", str(folder)],
        cwd=folder,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        yield f"{process.stdout.readline().strip()}/v1"
        process.kill()


def test_it_answers_at_once_and_in_pieces(home: Path, llama: str) -> None:
    """It makes no sense: what it says are the bytes that chance put into its weights."""
    here = desk(home, provider("llama.cpp", llama, max_tokens=24))
    assert AgentCore().run("hi", temperature=0)
    pieces = list(AgentCore().run_stream("hi", temperature=0))
    assert len(pieces) > 1
    assert calls(here) == [("llama.cpp", "ok")]
    run = here.agent_log.runs(1)[0]
    assert run.spent.tokens > 24  # as llama.cpp counted them: the prompt is a part


def test_it_is_asked_what_it_has(dino: Dino, workspace: Path, llama: str) -> None:
    desk(workspace, provider("llama.cpp", llama, model="tiny", max_tokens=8))
    found = dino("llm", "check", "--json").json
    assert "tiny" in str(found)
    answer = dino("ask", "hi", "--local-only", "--json").json
    assert answer["provider"] == "llama.cpp"


@pytest.mark.parametrize("known", [{"context_tokens": 1024}, {}])
def test_what_is_longer_than_it_reads_is_refused(
    home: Path, llama: str, known: dict[str, int]
) -> None:
    """Also where only its server knows how much that is."""
    here = desk(home, provider("llama.cpp", llama, **known))
    with pytest.raises(DinoError, match=r"tokens|longer than it reads"):
        AgentCore().run("word " * 2000)
    assert here.agent_log.runs(1)[0].outcome == "error"
