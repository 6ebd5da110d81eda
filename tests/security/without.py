"""
The sandbox with one mechanism taken out, as if somebody had deleted it.

What the parent plans is patched in the parent.  What the far side does is patched there: it is
started by a few lines that change its modules first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dino_os.tool_sandbox import bubblewrap, plan, run, view
from dino_os.tool_sandbox.egress.hosts import Allowed
from dino_os.tool_sandbox.kernel import call_filter, calls, landlock, system_calls
from dino_os.tool_sandbox.policy import Limits

Remove = Callable[[pytest.MonkeyPatch], None]
_STAGE, _KEEPER = "dino_os.tool_sandbox.stage", "dino_os.tool_sandbox.inside.keeper"


def together(*removes: Remove) -> Remove:
    def remove(patch: pytest.MonkeyPatch) -> None:
        for one in removes:
            one(patch)

    return remove


# --- bubblewrap's arguments ----------------------------------------------------------------------


def flags(*words: str) -> Remove:
    """Without these arguments."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        kept = tuple(word for word in bubblewrap._ALWAYS if word not in words)
        assert len(kept) < len(bubblewrap._ALWAYS)
        patch.setattr(bubblewrap, "_ALWAYS", kept)

    return remove


def read_only_mounts(patch: pytest.MonkeyPatch) -> None:
    real = bubblewrap._mount

    def mount(place: view.Place) -> Iterable[str]:
        return ["--bind" if word == "--ro-bind" else word for word in real(place)]

    patch.setattr(bubblewrap, "_mount", mount)


# --- the view ------------------------------------------------------------------------------------


def a_view(patch: pytest.MonkeyPatch) -> None:
    """With the folder beside the workspace in it."""
    real = view.places

    def places(folder: Any, *granted: Any) -> list[view.Place]:
        outside = str(folder.parent / "outside")
        found = [*real(folder, *granted), view.Place(outside, view.Kind.READ, outside)]
        return sorted(found, key=lambda place: place.path.count("/"))

    patch.setattr(view, "places", places)


def rules_for_files(patch: pytest.MonkeyPatch) -> None:
    """Landlock's: everything below the root."""
    everything = {"path": "/", "rights": landlock.WRITE | landlock.EXECUTE, "descriptor": None}
    patch.setattr(view, "rules", lambda *_, **__: [everything])


# --- system calls --------------------------------------------------------------------------------


def filtered(*names: str) -> Remove:
    """Those calls are allowed, whatever their arguments."""
    tables = (system_calls.DANGEROUS, system_calls.SWITCHED, system_calls.CHECKED)
    known = {n: i for t in tables for n, i in system_calls.numbers(t, calls.MACHINE).items()}
    known |= {"openat2": 437}

    def remove(patch: pytest.MonkeyPatch) -> None:
        real = call_filter._only
        allow = [(call_filter._RETURN, 0, 0, call_filter._ALLOW)]
        found = [known[name] for name in names if name in known]
        assert found
        more = [part for number in found for part in call_filter._on(number, allow)]
        patch.setattr(call_filter, "_only", lambda architecture: [*real(architecture), *more])

    return remove


def one_architecture(patch: pytest.MonkeyPatch) -> None:
    """The numbers of all architectures are taken for this one's."""
    load = (call_filter._LOAD, 0, 0, call_filter._NUMBER_AT)
    patch.setattr(call_filter, "_only", lambda _: [load])


# --- limits, clocks, and who watches -------------------------------------------------------------


def limit(name: str) -> Remove:
    def remove(patch: pytest.MonkeyPatch) -> None:
        real = Limits.of_a_process

        def of_a_process(self: Limits) -> dict[str, int]:
            return {kind: amount for kind, amount in real(self).items() if kind != name}

        assert name in real(Limits())
        patch.setattr(Limits, "of_a_process", of_a_process)

    return remove


def clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run._Watched, "_stop", lambda *_: None)


def count_of_all_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run._Watched, "_uses_too_much", lambda _: False)


def rules_for_hosts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Allowed, "check", lambda _, host, __: host)


def network_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """That which the launcher makes where bubblewrap does not."""
    patch.setattr(plan.Plan, "_own_network", property(lambda _: False), raising=False)


def clean_environment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan.Plan, "environment", property(lambda _: dict(os.environ)))


# --- the far side --------------------------------------------------------------------------------


def far(code: str, module: str = _KEEPER) -> Remove:
    """Start *module* with *code* run over it (as `it`)."""
    house = str(view.HOUSE)
    start = (
        f"import os, sys; sys.path.insert(0, {house!r})\n"
        # A keeper ends the rest by a signal to everybody: one that is taken apart never does.
        "signals = os.kill\n"
        "os.kill = lambda process, number: process > 0 and signals(process, number)\n"
        f"import {module} as it\n"
        f"{code}\n"
        "it.main(*[int(sys.argv[1])][: it.main.__code__.co_argcount])\n"
    )
    file = str(plan._KEEPER if module == _KEEPER else plan._STAGE)

    def remove(patch: pytest.MonkeyPatch) -> None:
        real = plan.Plan.command.fget
        assert real

        def command(self: plan.Plan) -> list[str]:
            words = real(self)
            at = words.index(file)
            return [*words[:at], "-c", start, *words[at + 1 :]]

        patch.setattr(plan.Plan, "command", property(command))

    return remove


def staged(code: str) -> Remove:
    return far(
        f"from dino_os.tool_sandbox.kernel import mounts\nit.mounts = mounts\n{code}", _STAGE
    )


def without_option(number: int) -> Remove:
    """That prctl(2) is not made."""
    return far(
        "real = it.calls.prctl\n"
        f"it.calls.prctl = lambda option, value=0: option == {number} or real(option, value)"
    )
