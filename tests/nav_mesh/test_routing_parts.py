"""Outliers among many routes, the budget of retries, and questions that are put twice."""

from __future__ import annotations

import threading

import pytest

from engines.errors import InvalidInput
from engines.nav_mesh import (
    Outcome,
    Receipt,
    Request,
    Response,
    RouteRules,
    RouteType,
)
from engines.nav_mesh.budget import Load
from engines.nav_mesh.hedging import in_turn
from engines.nav_mesh.outliers import outliers
from tests.nav_mesh.waiting import PRIMARY, SECOND, site


def test_routes_that_answer_worse_than_the_others_are_left_out() -> None:
    """By success rate among enough routes with enough requests, in one interval."""
    addresses = [f"https://{number}.test" for number in range(6)]
    rules = RouteRules(jitter_s=0, consecutive_5xx=0, max_ejection_percent=100)
    here = site(*addresses, rules=rules)
    routes = here.mesh.ways.of("info").routes
    for number in range(200):
        for route in routes:
            bad = route is routes[3] and number % 2
            here.mesh.note(route, Outcome(500 if bad else 200), probing=False)
    assert here.circuits() == ["closed"] * 6
    here.clock.now += 10
    here.mesh.settle_counts()
    assert here.circuits() == ["closed"] * 3 + ["open"] + ["closed"] * 2
    assert here.mesh.routes()[3]["cause"].startswith("success_rate 50.0 % is below")


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ([(100, 0)] * 4 + [(100, 50)], {"4"}),
        ([(100, 0)] * 3 + [(100, 50)], set()),  # too few routes
        ([(100, 0)] * 4 + [(99, 50)], set()),  # too few requests
        ([(100, 1)] * 5, set()),
        ([(50, 0)] * 4 + [(50, 43)], {"4"}),  # 86 %, which reaches 85
        ([(50, 0)] * 4 + [(50, 42)], set()),
        ([(50, 50)] * 5, {"0", "1", "2", "3", "4"}),
    ],
)
def test_who_is_an_outlier_is_as_envoy_has_it(
    rates: list[tuple[int, int]], found: set[str]
) -> None:
    counts = {str(number): rate for number, rate in enumerate(rates)}
    rules = RouteRules(success_rate_stdev=1.9)
    assert set(outliers(counts, rules)) == found
    assert outliers(counts, RouteRules(success_rate_stdev=0, failure_percentage=0)) == {}


# --- budget and hedging ----------------------------------------------------------------------


def test_retries_are_a_share_of_what_is_under_way() -> None:
    load = Load(RouteRules(retry_percent=20, retry_least=3, max_requests=40))
    least = [load.retry() for _ in range(4)]
    assert [one.__enter__() for one in least] == [True, True, True, False]
    for one in least:
        one.__exit__(None, None, None)
    open_ = [load.request() for _ in range(41)]
    assert [one.__enter__() for one in open_] == [True] * 40 + [False]
    tries = [load.retry() for _ in range(9)]
    assert [one.__enter__() for one in tries] == [True] * 8 + [False]
    for one in [*open_, *tries]:
        one.__exit__(None, None, None)
    assert (load.requests, load.retries) == (0, 0)


def test_more_than_may_be_under_way_is_offline_at_once() -> None:
    here = site(PRIMARY, rules=RouteRules(jitter_s=0, max_requests=1))

    def busy(request: Request) -> Response:
        assert isinstance(here.send(), Receipt)
        return Response(200, {}, b"")

    here.network.answers[PRIMARY] = busy
    assert here.send().status == 200
    assert here.circuits() == ["closed"]


def test_a_question_that_takes_too_long_is_put_to_the_next_route_too() -> None:
    """Only where that is switched on, and only a question."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        begun.set()
        go_on.wait(30)
        return Response(200, {}, b"late")

    here = site(PRIMARY, SECOND, rules=RouteRules(jitter_s=0, hedge_after_s=0.01))
    here.network.answers[PRIMARY] = slow
    try:
        assert here.send("GET").route is RouteType.FAILOVER
        assert begun.is_set()
    finally:
        go_on.set()


def test_attempts_side_by_side_all_count() -> None:
    def fail() -> str:
        raise InvalidInput("not this one")

    attempts = [lambda: "a", lambda: "b", fail]
    found = in_turn(iter(attempts), 30.0)
    assert [next(found), next(found)] == ["a", "b"]
    with pytest.raises(InvalidInput):
        next(found)
    assert list(in_turn(iter(attempts[:2]))) == ["a", "b"]
    assert list(in_turn(iter([]), 1.0)) == []
