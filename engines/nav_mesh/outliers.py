"""
Which routes of a domain stand out among the others, from what one interval counted.

Pure.  Both judgements are Envoy's, and need enough routes with enough requests each: between two
routes there is no mean to stand out from.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev

from engines.nav_mesh.routes import RouteRules

Counts = Mapping[str, tuple[int, int]]
"""Route → how many requests, and how many of them failed."""


def outliers(counts: Counts, rules: RouteRules) -> dict[str, str]:
    """Routes to leave out → why, in words that name the figures."""
    return _by_success_rate(counts, rules) | _by_failures(counts, rules)


def _by_success_rate(counts: Counts, rules: RouteRules) -> dict[str, str]:
    rates = _success_rates(counts, rules.success_rate_requests)
    if not rules.success_rate_stdev or len(rates) < max(rules.success_rate_hosts, 1):
        return {}
    mean = fmean(rates.values())
    least = mean - rules.success_rate_stdev * pstdev(rates.values(), mean)
    return {
        route: f"success_rate {rate:.1f} % is below {least:.1f} %"
        for route, rate in rates.items()
        if rate < least
    }


def _by_failures(counts: Counts, rules: RouteRules) -> dict[str, str]:
    rates = _success_rates(counts, rules.failure_percentage_requests)
    if not rules.failure_percentage or len(rates) < max(rules.failure_percentage_hosts, 1):
        return {}
    return {
        route: f"failure_percentage {100 - rate:.1f} % reaches {rules.failure_percentage:g} %"
        for route, rate in rates.items()
        if 100 - rate >= rules.failure_percentage
    }


def _success_rates(counts: Counts, least: int) -> dict[str, float]:
    """In percent, of those with enough requests."""
    return {
        route: 100 * (requests - failed) / requests
        for route, (requests, failed) in counts.items()
        if requests >= max(least, 1)
    }
