"""Budgets against a model of them that is a few lines of arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engines.agent_log import AgentLog, Budget, BudgetSpent

tokens = st.integers(0, 40)
cents = st.integers(0, 40)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 1), tokens, cents),
        st.tuples(st.just("called"), st.integers(0, 9), tokens, cents),
        st.tuples(st.just("wait"), st.integers(0, 2000), tokens, cents),
    ),
    max_size=25,
)
limit = st.none() | st.integers(0, 120)


@given(steps=steps, calls=st.none() | st.integers(0, 8), day=limit, run=limit, money=limit)
def test_what_fits_is_taken_and_nothing_else(
    steps: list[tuple[str, int, int, int]],
    calls: int | None,
    day: int | None,
    run: int | None,
    money: int | None,
) -> None:
    """A call is refused exactly where it would pass a limit, by what may still be taken."""
    now = [1_800_000_000.0]
    log = AgentLog(clock=lambda: now[0])
    budget = Budget(
        calls=calls, tokens=day, run_tokens=run, money=None if money is None else money / 100
    )
    runs = [log.begin("run", "go", actor="a", door="b") for _ in range(2)]
    begun: list[tuple[str, int, float, int, int]] = []  # call, run, when, tokens, cents
    spent = [(0, 0, 0)]  # run, tokens, cents
    for what, number, amount, price in steps:
        if what == "wait":
            now[0] += number
        elif what == "called" and begun:
            call, who, *_ = begun.pop(number % len(begun))
            log.called(call, outcome="ok", input_tokens=amount, money=price / 100)
            spent.append((who, amount, price))
        elif what == "reserve":
            all_tokens = sum(s[1] for s in spent) + sum(h[3] for h in begun) + amount
            own = sum(s[1] for s in spent if s[0] == number)
            own += sum(h[3] for h in begun if h[1] == number) + amount
            all_cents = sum(s[2] for s in spent) + sum(h[4] for h in begun) + price
            fits = all(
                top is None or taken <= top
                for top, taken in (
                    (calls, log.spent().calls + 1),
                    (day, all_tokens),
                    (run, own),
                    (money, all_cents),
                )
            )
            try:
                of, cost = runs[number], price / 100
                call = log.reserve(of, "p", "m", tokens=amount, money=cost, budget=budget)
            except BudgetSpent:
                assert not fits
            else:
                assert fits
                begun.append((call, number, now[0], amount, price))
    assert log.spent().tokens == sum(s[1] for s in spent)
    assert log.spent().money == sum(s[2] for s in spent) / 100
