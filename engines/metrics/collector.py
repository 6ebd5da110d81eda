"""
Gauges, meters and counters over one workspace: computed from its journals and from live engines.

    metrics = MetricsCollector()
    metrics.integrate(resource_engine=engine, nav_mesh=nav, latent_cache=cache)
    metrics.update_all()
    metrics.gauges["resource_flow"].current_value

How each gauge is defined stands beside the function that computes it, and in docs/metrics.md.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engines.checks import time_text
from engines.errors import JournalError
from engines.metrics import live
from engines.metrics.alerting import AlertFold
from engines.metrics.bus import BusFold
from engines.metrics.entities import EntityFold
from engines.metrics.families import Family, by, counters, gauges
from engines.metrics.fold import JournalFold
from engines.metrics.gates import GateFold
from engines.metrics.history import HOUR, MINUTE
from engines.metrics.journals import JournalSize, journal_families, journals_in, size_of
from engines.metrics.model import Gauge, Meter, Reading, Share
from engines.metrics.offline import OfflineFold
from engines.metrics.orders import OrderFold
from engines.metrics.runs import RunFold
from engines.metrics.scheduler import ScheduleFold
from engines.metrics.security import SecurityFold
from engines.metrics.tasks import TaskFold

F = TypeVar("F", bound=JournalFold)

FOLDS: tuple[type[JournalFold], ...] = (
    *(TaskFold, RunFold, ScheduleFold, EntityFold, OrderFold, BusFold, SecurityFold, GateFold),
    *(OfflineFold, AlertFold),
)
TARGETS = {"latency_tolerance": 100.0, "threshold_lock": 95.0, "resource_flow": 80.0}
METERS = ("nav_velocity", "gate_density", "task_arrivals", "task_completions")
_STEPS = 24
_DAY_S = 24.0 * HOUR


class MetricsCollector:
    """
    Collects on `update_all()`, and shows what it found until the next.

    Args:
        memory: The folder with the journals; without one only what is handed in is measured.
        kept: The folder for snapshots of the counters, so that not all is read each time.
        window_s: Gauges and counters of the last so many seconds; None since the beginning.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        memory: Path | None = None,
        *,
        kept: Path | None = None,
        window_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.gauges = {name: Gauge(name, target) for name, target in TARGETS.items()}
        self.meters = {name: Meter(name) for name in METERS}
        self.problems: dict[str, JournalError] = {}
        self.updated_at = 0.0
        self._memory = memory
        self._kept = kept
        self._window_s = window_s
        self._clock = clock
        self._folds: dict[str, JournalFold] = {}
        self._sizes: dict[str, JournalSize] = {}
        self._engine: live.TellsStatus | None = None
        self._nav: live.TellsStatus | None = None
        self._cache: live.TellsStats | None = None
        self._engine_status: Mapping[str, Any] = {}
        self._nav_status: Mapping[str, Any] = {}

    def integrate(
        self,
        resource_engine: live.TellsStatus | None = None,
        nav_mesh: live.TellsStatus | None = None,
        latent_cache: live.TellsStats | None = None,
    ) -> None:
        """Measure these engines too; what was handed in before stays where nothing is given."""
        # Not `or`: a cache without entries may be False.
        self._engine = self._engine if resource_engine is None else resource_engine
        self._nav = self._nav if nav_mesh is None else nav_mesh
        self._cache = self._cache if latent_cache is None else latent_cache

    def update_all(self) -> None:
        """
        Look again at everything.

        A journal that does not stand is passed over and named in `problems`.
        """
        now = self.updated_at = self._clock()
        self.problems.clear()
        self._read_journals()
        if self._engine is not None:
            self._engine_status = self._asked("engine_state", self._engine)
        if self._nav is not None:
            self._nav_status = self._asked("gate_log", self._nav)
        for name, share in self._shares(now).items():
            self._show(self.gauges[name], share, now)
        self._feed_meters(now)

    # --- queries -----------------------------------------------------------------------------

    def get_all_gauges(self) -> dict[str, dict[str, Any]]:
        return {name: gauge.get_stats() for name, gauge in self.gauges.items()}

    def get_all_meters(self) -> dict[str, dict[str, Any]]:
        return {name: meter.get_stats() for name, meter in self.meters.items()}

    def fold(self, kind: type[F]) -> F | None:
        """What was counted of that kind's journal; None where it has no line, or does not stand."""
        found = self._folds.get(kind.journal_name)
        return found if isinstance(found, kind) and not found.empty else None

    def counts(self) -> dict[str, dict[str, int]]:
        """Journal → what was counted of it, in the window if there is one."""
        return {
            fold.journal_name: {name: counted[name] for name in fold.told}
            for fold in self._there()
            for counted in [self._counted(fold)]
        }

    def begins_at(self) -> float | None:
        """From when on the window's counts are; None without a window."""
        begin = self._begin(self.updated_at)
        if begin is None:
            return None
        return min((fold.history.since(begin)[1] for fold in self._there()), default=begin)

    def report(self) -> dict[str, Any]:
        """All of it as JSON."""
        tasks, begins = self.fold(TaskFold), self.begins_at()
        return {
            "at": time_text(self.updated_at),
            "since": time_text(begins),
            "gauges": self.get_all_gauges(),
            "meters": self.get_all_meters(),
            "counters": self.counts(),
            "tasks": dict(tasks.depth(self.updated_at)) if tasks else {},
            "waits": {p: h.as_dict() for p, h in tasks.waits.items() if h.count} if tasks else {},
            "runs": self._run_times(),
            "journals": {name: size._asdict() for name, size in self._sizes.items()},
            "problems": {name: error.message for name, error in self.problems.items()},
        }

    def families(self) -> Iterator[Family]:
        """All of it for Prometheus; counters since the beginning, gauges where measured."""
        measured = [gauge for gauge in self.gauges.values() if gauge.measured]
        percent = {gauge.name: gauge.current_value / 100 for gauge in measured}
        yield gauges("dino_gauge_ratio", "The engines' gauges, 0 to 1.", by("gauge", percent))
        targets = {name: target / 100 for name, target in TARGETS.items()}
        yield gauges("dino_gauge_target_ratio", "What they should reach.", by("gauge", targets))
        for fold in self._there():
            yield from fold.families(self.updated_at)
        unread = {fold.journal_name: fold.unread for fold in self._there()}
        yield counters(
            "dino_metrics_unread_lines_total", "Lines not understood.", by("journal", unread)
        )
        if self._engine_status:
            yield from live.engine_families(self._engine_status)
        if self._nav_status:
            yield from live.gate_families(self._nav_status)
        if self._cache is not None:
            yield from live.cache_families(self._cache)
        yield from journal_families(self._sizes, self.problems)

    # --- gauges ------------------------------------------------------------------------------

    def _shares(self, now: float) -> dict[str, Share]:
        tasks, security = self.fold(TaskFold), self.fold(SecurityFold)
        outages = _outages(self._counted(tasks)) if tasks else Share()
        if self._cache is not None:
            outages += live.kept_offline(self._cache)
        if drills := self.fold(OfflineFold):
            outages = _worse(outages, drills.drilled(self._begin(now)))
        attacks = _attacks(self._counted(security)) if security else Share()
        # Gates without a journal say themselves what they count.
        gates = self.fold(GateFold)
        attacks += _attacks(self._counted(gates)) if gates else live.breaches(self._nav_status)
        if tasks:
            flow = _flow(self._counted(tasks), tasks.depth(now)["ready"])
        else:
            flow = live.flow(self._engine_status)
        return {"latency_tolerance": outages, "threshold_lock": attacks, "resource_flow": flow}

    def _show(self, gauge: Gauge, share: Share, now: float) -> None:
        kinds, shares = _SHOWN[gauge.name]
        gauge.show(share, now)
        span = self._window_s or _DAY_S
        found = [fold for kind in kinds if (fold := self.fold(kind))]
        series = [fold.history.series(now - span, now, _STEPS) for fold in found]
        if series:
            ends = [now - span + span * step / _STEPS for step in range(1, _STEPS + 1)]
            steps = zip(ends, zip(*series, strict=True), strict=True)
            gauge.replay(Reading(at, _together(map(shares, step)).percent) for at, step in steps)

    # --- below the face ----------------------------------------------------------------------

    def _read_journals(self) -> None:
        for kind in FOLDS:
            name = kind.journal_name
            try:
                if name in self._folds:
                    self._folds[name].refresh()
                elif path := self._path_of(name):
                    self._folds[name] = kind(path, self._kept)
            except JournalError as error:
                self._folds.pop(name, None)
                self.problems[name] = error
        self._sizes.clear()
        for path in journals_in(self._memory) if self._memory else ():
            try:
                self._sizes[path.stem] = size_of(path)
            except JournalError as error:
                self.problems.setdefault(path.stem, error)

    def _path_of(self, name: str) -> Path | None:
        """Where that journal lies; the queue's also where only its engine was handed in."""
        if self._memory is not None:
            return self._memory / f"{name}.jsonl"
        journal = getattr(self._engine, "journal", None) if name == "engine_state" else None
        path = getattr(journal, "path", None)
        return path if isinstance(path, Path) else None

    def _asked(self, journal: str, engine: live.TellsStatus) -> Mapping[str, Any]:
        try:
            return engine.get_status()
        except JournalError as error:
            self.problems.setdefault(journal, error)
            return {}

    def _there(self) -> list[JournalFold]:
        return [fold for fold in self._folds.values() if not fold.empty]

    def _counted(self, fold: JournalFold) -> Counter[str]:
        if self._window_s is None:
            return fold.totals
        return fold.history.since(self.updated_at - self._window_s)[0]

    def _begin(self, now: float) -> float | None:
        return None if self._window_s is None else now - self._window_s

    def _run_times(self) -> dict[str, Any]:
        runs = self.fold(RunFold)
        return {skill: found.as_dict() for skill, found in runs.durations.items()} if runs else {}

    def _feed_meters(self, now: float) -> None:
        meters = self.meters
        if self._nav_status:
            meters["nav_velocity"].observe(self._nav_status.get("path_switches") or 0, now)
            if self.fold(GateFold) is None:
                meters["gate_density"].observe(live.decisions(self._nav_status), now, "gates")
        for fed, kind, name in _FED:
            if fold := self.fold(kind):
                _replay(meters[fed], fold, name, now)
        for meter in meters.values():
            meter.update(now)


_FED: tuple[tuple[str, type[JournalFold], str], ...] = (
    ("gate_density", SecurityFold, "decisions"),
    ("gate_density", GateFold, "decisions"),
    ("task_arrivals", TaskFold, "submitted"),
    ("task_completions", TaskFold, "succeeded"),
)


def _replay(meter: Meter, fold: JournalFold, name: str, now: float) -> None:
    """Give *meter* what was counted in each minute of its window, from a whole minute on."""
    begin = math.ceil((now - meter.window_s) / MINUTE) * MINUTE
    since = max(begin, fold.history.begins or 0.0)
    meter.replay(fold.history.points(name, since), since, fold.journal_name)


def _outages(counted: Counter[str]) -> Share:
    """Latency tolerance: done in spite of an outage, of what met one and was not done otherwise."""
    survived = counted["survived_outage"]
    return Share(survived, survived + counted["lost_to_outage"])


def _worse(real: Share, drilled: Share) -> Share:
    """The share that is worse of the two; where one measured nothing, the other."""
    measured = [share for share in (real, drilled) if share.percent is not None]
    return min(measured, key=lambda share: (share.percent, -share.all), default=Share())


def _attacks(counted: Counter[str]) -> Share:
    """Threshold lock: refused, of the attempts that were noticed."""
    blocked = counted["breaches_blocked"]
    return Share(blocked, blocked + counted["breaches_passed"])


def _flow(counted: Counter[str], ready: int = 0) -> Share:
    """Resource flow: done, of what is done, has failed for good, or could start and did not."""
    done, dead = counted["succeeded"], max(counted["dead"] - counted["requeued"], 0)
    return Share(done, done + dead + ready)


def _together(shares: Iterable[Share]) -> Share:
    return sum(shares, Share())


_SHOWN: dict[str, tuple[tuple[type[JournalFold], ...], Callable[[Counter[str]], Share]]] = {
    "latency_tolerance": ((TaskFold,), _outages),
    "threshold_lock": ((SecurityFold, GateFold), _attacks),
    "resource_flow": ((TaskFold,), _flow),
}
