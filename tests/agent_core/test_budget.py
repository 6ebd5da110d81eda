"""What may be spent, however many ask at once; and what a model reads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.agent_core.core import Core
from dino_os.errors import DinoError, InvalidInput
from dino_os.workspace import Workspace
from engines.agent_log import BudgetSpent
from engines.errors import JournalError
from tests.agent_core.desk import NOBODY, calls, chain_of, desk, provider, said
from tests.models.scripted import ScriptedServer, Text

PRICE = {"input": 2.0, "output": 10.0}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("hello", input_tokens=100, output_tokens=50)) as running:
        yield running


def test_what_was_spent_is_the_provider_s_own_count_at_its_price(
    workspace: Path, server: ScriptedServer
) -> None:
    here = desk(workspace, provider("paid", server.url, price=PRICE))
    Core(here).run("hi")
    spent = here.agent_log.spent()
    assert (spent.calls, spent.tokens) == (1, 150)
    assert spent.money == pytest.approx((100 * 2 + 50 * 10) / 1e6)


def test_where_nobody_listens_nothing_is_spent(workspace: Path, server: ScriptedServer) -> None:
    """So a day without a network leaves the budget as it was; what was reached counts."""
    here = desk(
        workspace, provider("away", NOBODY), provider("here", server.url), budget={"calls": 1}
    )
    assert said(chain_of(here)) == "hello"
    assert calls(here) == [("away", "error"), ("here", "ok")]
    assert here.agent_log.spent().calls == 1
    with pytest.raises(BudgetSpent):
        said(chain_of(here))


@pytest.mark.parametrize("streams", [False, True])
def test_where_nobody_counts_it_is_estimated(
    workspace: Path, server: ScriptedServer, streams: bool
) -> None:
    server.say(Text("x" * 700, input_tokens=None))
    here = desk(workspace, provider("paid", server.url))
    said(chain_of(here), "y" * 3500, streams=streams)
    assert 1000 + 200 <= here.agent_log.spent().tokens <= 1300


@pytest.mark.parametrize(
    ("budget", "what"),
    [({"calls": 2}, "calls"), ({"tokens": 2250}, "tokens"), ({"money": 0.0215}, "money")],
)
def test_a_call_that_might_pass_a_limit_is_not_made(
    workspace: Path, server: ScriptedServer, budget: dict[str, float], what: str
) -> None:
    here = desk(workspace, provider("paid", server.url, price=PRICE), budget=budget)
    core = Core(here)
    core.run("hi")
    core.run("hi")
    with pytest.raises(BudgetSpent) as told:
        core.run("hi")
    assert (told.value.what, told.value.exit_code) == (what, 3)
    assert len(server.requests) == 2
    assert here.agent_log.runs(1)[0].outcome == "denied"


def test_of_several_providers_a_cheaper_one_may_still_be_asked(
    workspace: Path, server: ScriptedServer
) -> None:
    here = desk(
        workspace,
        provider("paid", server.url, price=PRICE),
        provider("free", server.url),
        budget={"money": 0.001},
    )
    assert said(chain_of(here)) == "hello"
    assert calls(here) == [("free", "ok")]


def test_what_nobody_said_the_price_of_does_not_fit_a_budget_of_money(workspace: Path) -> None:
    """Unless it is near, where nothing is paid."""
    from tests.agent_core.desk import stands_for

    here = desk(workspace, provider("far", "https://models.example/v1"), budget={"money": 5})
    with pytest.raises(DinoError, match="nobody said its `price`"):
        said(chain_of(here, resolve=stands_for(models_example="93.184.215.14")))


def test_a_run_has_a_budget_of_its_own(workspace: Path, server: ScriptedServer) -> None:
    here = desk(workspace, provider("one", server.url), run_budget={"calls": 1})
    chain = chain_of(here)
    said(chain)
    with pytest.raises(BudgetSpent):
        said(chain)
    said(chain_of(here))


def test_a_record_that_cannot_be_kept_means_no_call(
    workspace: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits fail closed."""
    here = desk(workspace, provider("one", server.url))
    chain = chain_of(here)
    (here.memory / "agent_log.jsonl").write_bytes(b"{}\n")
    with pytest.raises(JournalError):
        said(chain)
    assert not server.requests


def _ask_until_refused(folder: str, told: Any) -> None:
    here, count = Workspace(Path(folder)), 0
    try:
        while True:
            Core(here).run("hi")
            count += 1
    except BudgetSpent:
        told.put(count)


def test_processes_that_ask_at_once_share_one_budget(
    workspace: Path, server: ScriptedServer
) -> None:
    desk(workspace, provider("one", server.url), budget={"calls": 7})
    fork = multiprocessing.get_context("fork")
    told = fork.Queue()
    arguments = (str(workspace), told)
    processes = [fork.Process(target=_ask_until_refused, args=arguments) for _ in range(3)]
    for one in processes:
        one.start()
    counts = [told.get(timeout=60) for _ in processes]
    for one in processes:
        one.join(60)
    assert sum(counts) == 7 == len(server.requests)


# --- what a model reads --------------------------------------------------------------------------

SHOWN = {"parameters": 'stop  "<|end|>"\nnum_ctx                        16384\n'}
LOADED = {"models": [{"name": "o-model:latest", "context_length": 8192}, {"name": "other"}]}


def ollama(folder: Path, server: ScriptedServer, **more: Any) -> Any:
    return desk(folder, provider("o", server.url, kind="ollama", **more))


@pytest.mark.parametrize(
    ("native", "reads"),
    [
        ({}, 4096),
        ({"/api/show": SHOWN}, 16_384),
        ({"/api/show": SHOWN, "/api/ps": LOADED}, 8192),
        ({"/api/ps": {"models": [{"name": "other", "context_length": 99}]}}, 4096),
        ({"/api/ps": [], "/api/show": {"parameters": None}}, 4096),
    ],
)
def test_a_prompt_that_ollama_would_cut_off_is_not_sent(
    workspace: Path, server: ScriptedServer, native: dict[str, Any], reads: int
) -> None:
    server.native = native
    here = ollama(workspace, server)
    with pytest.raises(InvalidInput, match=f"o-model reads {reads:,} there; Ollama would cut"):
        said(chain_of(here), "word " * reads)
    assert not server.asked
    said(chain_of(here), "word " * (reads // 4))
    assert len(server.asked) == 1


def test_a_short_prompt_asks_nothing_first(workspace: Path, server: ScriptedServer) -> None:
    said(chain_of(ollama(workspace, server)), "word " * 500)
    assert len(server.requests) == 1


def test_the_settings_may_say_what_a_model_reads(workspace: Path, server: ScriptedServer) -> None:
    small = provider("small", server.url, context_tokens=300)
    large = provider("large", server.url, context_tokens=9000)
    here = desk(workspace, small, large)
    assert said(chain_of(here), "word " * 400) == "hello"
    assert calls(here) == [("large", "ok")]


def test_an_answer_that_filled_what_is_read_is_remarked_upon(
    workspace: Path, server: ScriptedServer
) -> None:
    server.say(Text("cut", input_tokens=4000, output_tokens=96))
    notes: list[str] = []
    said(chain_of(ollama(workspace, server, context_tokens=4096), note=notes.append))
    assert "4,096 tokens is all that it reads" in notes[0]


def test_nobody_is_asked_for_more_than_the_provider_s_longest_answer(
    workspace: Path, server: ScriptedServer
) -> None:
    here = desk(workspace, provider("one", server.url, max_tokens=64))
    Core(here).run("hi", max_tokens=500, temperature=0.5)
    assert server.bodies[0]["max_tokens"] == 64
    assert server.bodies[0]["temperature"] == 0.5


def test_a_server_that_is_not_there_costs_no_tokens(
    workspace: Path, server: ScriptedServer
) -> None:
    here = desk(workspace, provider("dead", NOBODY), provider("one", server.url))
    said(chain_of(here))
    assert here.agent_log.spent().tokens == 150
