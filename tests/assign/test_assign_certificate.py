"""What holds a plan against its definition: nothing that is false stands."""

from __future__ import annotations

from dataclasses import replace

from engines.assign import AgentProfile, AssignableTask, DynamicAssignEngine, check


def test_a_certificate_is_refused_whatever_is_wrong_with_it() -> None:
    """A value, a bound, a price, a pair; also numbers that are none and names of nobody."""
    tasks = [AssignableTask(f"t{n}", "d", 0.5, ("x",), 1.0 + n) for n in range(3)]
    agents = [AgentProfile("a", ("x",), 4), AgentProfile("none", ("y",), 4)]
    plan = DynamicAssignEngine().decide(tasks, agents)
    assert check(plan, tasks, agents).stands
    assert plan.prices
    assert plan.price_bound is not None
    first = plan.decisions[0]
    lies = [
        replace(plan, value=plan.value + 0.1),
        replace(plan, price_bound=plan.price_bound / 2),
        replace(plan, decisions=(replace(first, agent="none"), *plan.decisions[1:])),
        replace(plan, decisions=plan.decisions * 2),
        replace(plan, bound=plan.value / 2),
        replace(plan, bound=float("nan")),
        replace(plan, value=float("nan")),
        replace(plan, prices=dict.fromkeys(plan.prices, -1.0), price_bound=-3.0),
        replace(plan, prices=dict.fromkeys(plan.prices, float("inf"))),
        replace(plan, decisions=(*plan.decisions, replace(first, agent="nobody"))),
        replace(plan, decisions=(*plan.decisions, replace(first, task_id="nothing"))),
        replace(plan, unassigned=()),
    ]
    assert [n for n, lie in enumerate(lies) if check(lie, tasks, agents).stands] == []
