"""Runs of models: begun, parked, gone on with, ended, and such as do neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dino_os.workspace import Workspace
from engines.agent_log import Budget

Step = Callable[[Workspace], Any]


def steps(mark: str) -> Iterator[Step]:
    ids: dict[str, str] = {}
    budget = Budget(calls=9, tokens=900, money=9.0, run_calls=9)
    arguments = {"to": mark}

    def begin(w: Workspace) -> None:
        facts: dict[str, Any] = {"model_wanted": "m", "skills": ["a"], "limits": {"": 1}}
        ids["run"] = w.agent_log.begin("run", mark * 100, actor="a", door="b", **facts)

    def reserve(w: Workspace) -> None:
        log, run = w.agent_log, ids["run"]
        ids["call"] = log.reserve(run, "p", "m", tokens=9, money=0.1, budget=budget)

    def called(w: Workspace) -> None:
        tried = [{"provider": "q", "reason": "refused"}]
        said: dict[str, Any] = {"request": [mark], "response": [{"a": mark * 1000}]}
        w.agent_log.called(
            ids["call"], outcome="ok", input_tokens=7, money=0.05, tried=tried, **said
        )

    def ask(w: Workspace) -> None:
        ids["one"] = w.agent_log.ask_approval(ids["run"], "1", "mail", arguments, "it writes")

    def use(w: Workspace) -> None:
        log, run = w.agent_log, ids["run"]
        log.use(ids["one"], "mail", arguments)
        log.tool_called(run, "1", "mail", arguments=arguments, outcome="ok", result=mark)

    yield begin
    yield reserve
    yield called
    yield reserve
    yield lambda w: w.agent_log.taint(ids["run"], mark)
    yield ask
    yield lambda w: w.agent_log.park(ids["run"], [mark * 1000], sealed={"": mark})
    yield lambda w: w.agent_log.decide(ids["one"], True, by=mark, door="terminal")
    yield lambda w: w.agent_log.resume(ids["run"])
    yield use
    yield begin
    yield ask
    yield lambda w: w.agent_log.finish(ids["run"], "error", mark, error=mark)
    yield begin
    yield ask
    yield lambda w: w.agent_log.park(ids["run"], [mark])
