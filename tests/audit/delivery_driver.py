"""Deliveries that are brought to use all that they can keep, without a consumer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.terms import Refusal, Terms, Upcoming
from dino_os.workspace import Workspace

Step = Callable[[Workspace], Any]


def steps(mark: str) -> Iterator[Step]:
    billing = Terms("orders.>", durable="billing", retries=1)
    yield lambda w: w.deliveries.join(billing, lambda: 3)
    yield lambda w: w.deliveries.join(Terms(mark, group="workers"), lambda: -1)
    yield lambda w: w.deliveries.join(Terms("orders.>", durable="billing"), lambda: 9)
    yield lambda w: _exchange(w.deliveries, mark, most=6, acked=2)
    yield lambda w: _exchange(w.deliveries, mark, most=2, refused=2)
    yield lambda w: _exchange(w.deliveries, mark, most=9, acked=1, final=1)
    yield lambda w: w.deliveries.redeliver("billing", _dead(w.deliveries)[0])
    yield lambda w: _exchange(w.deliveries, mark, most=9, final=2)
    yield lambda w: _exchange(w.deliveries, mark, most=3, renewed=1, returned=1)
    yield lambda w: w.deliveries.leave("billing", _members(w.deliveries)[1])
    yield lambda w: w.deliveries.join(Terms("gone", durable="gone"), lambda: -1)
    yield lambda w: w.deliveries.forget("gone")
    yield _let_them_wait


def _exchange(
    engine: Deliveries,
    mark: str,
    *,
    most: int,
    acked: int = 0,
    refused: int = 0,
    final: int = 0,
    renewed: int = 0,
    returned: int = 0,
) -> None:
    """Claim, and say of the first so many what became of them, of the last that they go back."""
    member, place = _members(engine)[0], engine.place("billing") or 0
    ahead = Upcoming(place, range(place + 1, place + 6), place + 5)
    claims = engine.exchange("billing", member, upcoming=ahead, most=most)
    engine.renew("billing", member, claims[:renewed])
    back, claims = claims[len(claims) - returned :], claims[: len(claims) - returned]
    done, claims = claims[:acked], claims[acked:]
    again, claims = claims[:refused], claims[refused:]
    refusals = [Refusal(claim, 0.0, mark) for claim in again]
    refusals += [Refusal(claim, 0.0, mark, final=True) for claim in claims[:final]]
    engine.exchange("billing", member, acked=done, refused=refusals, returned=back)


def _members(engine: Deliveries) -> list[str]:
    return [*engine.find("billing").members]


def _dead(engine: Deliveries) -> list[int]:
    return [letter.seq for _, letter in engine.dead_letters("billing")]


def _let_them_wait(workspace: Workspace) -> None:
    engine = workspace.deliveries
    monotonic = engine._monotonic
    engine._monotonic = lambda: monotonic() + 31.0
    _exchange(engine, "late", most=4)
    engine._monotonic = monotonic
