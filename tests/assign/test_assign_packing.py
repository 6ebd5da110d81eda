"""Knapsacks of all agents: their bound, what they leave out, and plans drawn from them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.assign.dive import dive
from engines.assign.packing import Packing
from engines.assign.problem import Dense
from engines.assign.solve import solve

ROUNDING = 1e-6


def instance(seed: int, tasks: int, agents: int) -> Dense:
    """Hours differ by agent, some pairs cannot be or lose, some values and hours are ties."""
    random = np.random.default_rng(seed)
    hours = random.integers(1, 7, (tasks, agents)) / 2
    value = random.integers(-2, 12, (tasks, agents)).astype(float)
    value[random.random(value.shape) < 0.2] = -np.inf
    capacity = np.floor(random.uniform(0, 8, agents))
    return Dense(value, hours, capacity, np.ones(tasks, np.int64))


def plans(problem: Dense) -> Any:
    """Every plan that keeps the rules, and its value."""
    tasks, agents = problem.shape
    for plan in itertools.product(range(-1, agents), repeat=tasks):
        on = [(row, column) for row, column in enumerate(plan) if column >= 0]
        load, value = np.zeros(agents), 0.0
        for row, column in on:
            load[column] += problem.hours[row, column]
            value += problem.value[row, column]
        if value > -np.inf and (load <= problem.capacity).all():
            yield plan, value


small = st.builds(instance, st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=24, deadline=None)
@given(small, st.integers(0, 99))
def test_no_plan_is_worth_more_than_the_bound(problem: Dense, seed: int) -> None:
    """At any prices; a pair's cost is not more than it takes off; knapsacks keep the hours."""
    packing = Packing.of(problem)
    if packing is None:
        assert not (problem.value > -np.inf).any()
        return
    every = list(plans(problem))
    random = np.random.default_rng(seed)
    for prices in (np.zeros(len(problem.team)), random.uniform(0, 12, len(problem.team))):
        bound, taken = packing.pack(prices)
        assert bound >= max(value for _, value in every) - ROUNDING
        assert ((problem.hours * taken).sum(axis=0) <= problem.capacity).all()
        assert not (taken & (problem.value == -np.inf)).any()
        whole, cost = packing.cost(prices)
        assert whole == pytest.approx(bound)
        for plan, value in every:
            for row, column in enumerate(plan):
                assert column < 0 or value <= whole - cost[row, column] + ROUNDING


@settings(max_examples=24, deadline=None)
@given(st.integers(0, 10**6))
def test_a_knapsack_is_the_best_there_is(seed: int) -> None:
    """Whatever the linear relaxation has settled before."""
    problem = instance(seed, 9, 3)
    packing = Packing.of(problem)
    assert packing is not None
    prices = np.random.default_rng(seed).uniform(0, 6, 9)
    best = 0.0
    for column in range(3):
        profit = problem.value[:, column] - prices
        able = np.flatnonzero(profit > 0)
        best += max(
            float(profit[list(some)].sum())
            for size in range(len(able) + 1)
            for some in itertools.combinations(able, size)
            if problem.hours[list(some), column].sum() <= problem.capacity[column]
        )
    assert packing.pack(prices)[0] == pytest.approx(prices.sum() + best)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 6))
def test_a_dive_keeps_the_hours(seed: int, tasks: int, agents: int) -> None:
    """And gives nobody what it cannot take; the same seed, the same plan."""
    problem = instance(seed, tasks, agents)
    packing = Packing.of(problem)
    if packing is None:
        return
    prices = np.full(tasks, 3.0)
    one, other = (
        dive(packing, prices, 1.0, np.random.default_rng(seed), lambda: False) for _ in range(2)
    )
    assert one.tolist() == other.tolist()
    on = np.flatnonzero(one >= 0)
    load = np.bincount(one[on], problem.hours[on, one[on]], agents)
    assert (load <= problem.capacity).all()
    assert (problem.value[on, one[on]] > -np.inf).all()


@settings(max_examples=15, deadline=None)
@given(small)
@example(Dense(-np.ones((1, 1)), np.ones((1, 1)), np.ones(1), np.ones(1, np.int64)))
def test_the_best_plan_is_found_and_proven(problem: Dense) -> None:
    """Where hours differ by agent, too."""
    found = solve(problem)
    best = max(value for _, value in plans(problem))
    assert found.value == pytest.approx(best)
    assert found.bound == pytest.approx(best)


def test_what_cannot_be_counted_in_units_is_left_alone() -> None:
    """Odd hours, teams, and rooms too large for a table."""
    problem = instance(1, 4, 2)
    for wrong in (
        Dense(problem.value, problem.hours + 0.1234, problem.capacity, problem.team),
        Dense(problem.value, problem.hours, problem.capacity, problem.team + 1),
        Dense(problem.value, problem.hours, problem.capacity + 10**6, problem.team),
    ):
        assert Packing.of(wrong) is None


@pytest.mark.parametrize("kind", ["uniform", "inverse"])
def test_tight_instances_come_within_half_a_percent(kind: str) -> None:
    """As types C and D of the literature, without a time limit."""
    random = np.random.default_rng(4)
    hours = random.integers(5, 26, (40, 5)).astype(float)
    cost = 60.0 - hours + random.integers(-5, 6, hours.shape)
    if kind == "uniform":
        cost = random.integers(10, 51, hours.shape).astype(float)
    capacity = np.floor(0.8 * hours.sum(axis=0) / 5)
    most = 2 * cost.max()
    found = solve(Dense(most - cost, hours, capacity, np.ones(40, np.int64)))
    assert (found.draft.column >= 0).all()
    assert found.bound - found.value <= 0.005 * (40 * most - found.value)
