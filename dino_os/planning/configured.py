"""
`dino cycle run`: what is configured, from the sources to those who get the work.

    lock → complete or undo what crashed → read → started → plan (the commit point: its cycle is on
    record) → planned → tasks submitted → deliveries queued → handed over → files moved → unlock →
    send what is due

Each arrow is a record in `cycle_runs.jsonl` or in the journal of the part that did it, and each
step can be done again without doing anything twice, so a run that died anywhere is completed by the
next one, or, where it died before the commit point, never happened.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dino_os.errors import InvalidInput, NotFound
from dino_os.outbox import Sender, Sent
from dino_os.planning import alertmanager
from dino_os.planning.cycle import enrichment_for, orchestrator_for, plan_signals
from dino_os.planning.cycle_file import Cycle
from dino_os.planning.cycle_report import CycleReport, HandedOver, Recovered
from dino_os.planning.feed import Feed
from dino_os.planning.feeds import Access, read_source
from dino_os.planning.handover import (
    Work,
    desks_as_data,
    desks_from_data,
    move_files,
    planned_assignments,
    queue,
    recalled_assignments,
    submit,
)
from dino_os.planning.intake import Intake, Reading, Watch
from dino_os.process_lock import Busy, ProcessLock
from engines.orchestrator import DynamicUsageOrchestrator, UsageCycleResult
from engines.personas import Escalation
from engines.spool import Spool

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


class ConfiguredCycle:
    """
    Runs *cycle* in *workspace*; in a rehearsal it records and hands over nothing.

    Args:
        payload: Of alerts, read besides the sources' own.
        watch: Wraps what takes long, for example in a progress bar.
    """

    def __init__(
        self,
        workspace: Workspace,
        cycle: Cycle,
        *,
        payload: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._workspace = workspace
        self._cycle = cycle
        self._watch = watch or _unwatched
        self._runs = workspace.cycle_runs
        self._orchestrator = orchestrator_for(workspace, cycle.scenario)
        self._enrichment = enrichment_for(workspace, cycle.scenario)
        self._access = Access(
            workspace.plugins.signal_sources(),
            self._run_skill,
            workspace.key,
            alertmanager.read_payload(payload, "--alertmanager") if payload is not None else None,
            self._runs.clock,
        )
        if payload is not None and not any(s.kind == "alertmanager" for s in cycle.sources):
            raise InvalidInput(
                f"{cycle.path}: no source of alerts says what their labels mean",
                hint="add one: {alertmanager: FOLDER, map: MAP.yaml}",
            )

    def run(self, *, wait_s: float = 0.0) -> CycleReport:
        """
        Run it.

        Raises:
            Busy: Another process has been running a cycle for *wait_s* seconds longer.
            InvalidInput: There are signals but no agents; nothing was recorded.
            DinoError: A required source cannot be read; nothing was recorded.
        """
        workspace = self._workspace
        if workspace.rehearsal:
            return self._rehearse()
        with cycle_lock(workspace).held(wait_s):
            began = time.monotonic()
            self._runs.refresh()
            recovered = recover(workspace, self._orchestrator)
            report = self._run_anew(uuid4().hex, recovered)
        # Receivers may take their time; meanwhile others may run their cycles.
        sent = self._send()
        return replace(report, sent=sent, duration_s=time.monotonic() - began)

    # --- the stages --------------------------------------------------------------------------

    def _run_anew(self, run: str, recovered: Recovered | None) -> CycleReport:
        feeds, intake = self._read()
        facts = {
            "name": self._cycle.scenario.name,
            "file": str(self._cycle.path),
            "started_by": self._workspace.operator,
            "sources": intake.sources,
        }
        plan: UsageCycleResult | None = None
        escalations: Spool[Escalation] = Spool()
        handed = HandedOver()
        if intake.signals:
            desks = {agent: self._cycle.desk_of(agent) for agent in self._cycle.desks}
            self._runs.start(run, desks=desks_as_data(desks), **facts)
            plan, escalations = self._plan(intake, run)
            self._runs.planned(run, plan.cycle)
            work = Work.sort(plan.cycle, planned_assignments(plan), desks)
            handed = hand_over(self._workspace, run, work)
        else:
            self._runs.idle(run, **facts)
        moved, stuck = move_files(feeds)
        if moved:
            self._runs.moved(moved)
        return CycleReport(
            run=run,
            name=self._cycle.scenario.name,
            outcome="ok" if plan else "ok_no_action",
            recorded=True,
            intake=intake,
            plan=plan,
            escalations=escalations,
            handed=handed,
            moved=sum(map(len, moved.values())),
            not_moved=stuck,
            recovered=recovered,
            enrichment=self._enrichment.told if self._enrichment else None,
        )

    def _rehearse(self) -> CycleReport:
        began = time.monotonic()
        _, intake = self._read()
        plan: UsageCycleResult | None = None
        escalations: Spool[Escalation] = Spool()
        handed = HandedOver()
        if intake.signals:
            plan, escalations = self._plan(intake, None)
            desks = {agent: self._cycle.desk_of(agent) for agent in self._cycle.desks}
            work = Work.sort(plan.cycle, planned_assignments(plan), desks)
            handed = HandedOver(len(work.tasks), (), len(work.deliveries), work.nobody)
        return CycleReport(
            run="",
            name=self._cycle.scenario.name,
            outcome="ok" if plan else "ok_no_action",
            recorded=False,
            intake=intake,
            plan=plan,
            escalations=escalations,
            handed=handed,
            duration_s=time.monotonic() - began,
        )

    def _read(self) -> tuple[list[Feed], Intake]:
        memory = self._runs.memory_of
        reading = Reading(
            self._cycle.scenario, self._orchestrator, memory, self._watch, self._enrichment
        )
        feeds = []
        given = self._access
        for source in self._watch(self._cycle.sources, "reading sources"):
            feed = read_source(self._cycle, source, memory(source.name), given)
            if source.kind == "alertmanager":  # it goes to the first of them
                given = replace(given, payload=None)
            reading.take(feed)
            feeds.append(feed)
        scenario = self._cycle.scenario
        meant = scenario.agents or scenario.options.allow_unassigned
        if reading.intake.signals and not meant:
            raise InvalidInput(
                f"{self._cycle.path}: there are signals but no agents to answer them",
                hint="name agents, or allow a plan without: options: {allow_unassigned: true}",
            )
        return feeds, reading.intake

    def _plan(self, intake: Intake, run: str | None) -> tuple[UsageCycleResult, Spool[Escalation]]:
        return plan_signals(
            self._workspace,
            self._cycle.scenario,
            self._orchestrator,
            intake.signals,
            reference=run,
            enrichment=self._enrichment,
        )

    def _send(self) -> Sent | None:
        if not self._workspace.outbox.status()["queued"]:
            return None
        try:
            return Sender.of(self._workspace).send(watch=self._watch)
        except Busy:  # whoever sends has it
            return None

    def _run_skill(self, name: str, params: Mapping[str, Any]) -> Any:
        from dino_os.arguments import bind  # noqa: PLC0415  where a source is a skill

        if self._workspace.rehearsal:
            raise InvalidInput("a dry run runs no skill: what one does is recorded")
        skill = self._workspace.plugins.skills().find(name)
        return self._workspace.runner.run(skill, bind(skill, params)).check().result


def recover(workspace: Workspace, orchestrator: DynamicUsageOrchestrator) -> Recovered | None:
    """
    Complete the run that crashed, or undo it; None where there is none.

    Only under the lock of cycles: what is open then has nobody who is at it.
    """
    runs = workspace.cycle_runs
    crashed = runs.open
    if crashed is None:
        return None
    cycle = crashed.cycle or orchestrator.cycle_of(crashed.run)
    if cycle is None:
        runs.undone(crashed.run, "it ended before its plan was on record")
        return Recovered(crashed.run, None, "undone")
    if crashed.stage == "started":
        orchestrator.catch_up()
        runs.planned(crashed.run, cycle)
    try:
        assignments = recalled_assignments(orchestrator, cycle)
    except NotFound as error:
        runs.undone(crashed.run, error.message)
        return Recovered(crashed.run, cycle, "undone")
    hand_over(workspace, crashed.run, Work.sort(cycle, assignments, desks_from_data(crashed.desks)))
    return Recovered(crashed.run, cycle, "completed")


def hand_over(workspace: Workspace, run: str, work: Work) -> HandedOver:
    """Give all that is assigned to those who are to do it, and record each step."""
    runs = workspace.cycle_runs
    tasks, refused = submit(workspace, work)
    runs.submitted(run, tasks, refused)
    deliveries = queue(workspace, work)
    runs.queued(run, deliveries, work.nobody)
    runs.handed_over(run)
    return HandedOver(tasks, refused, deliveries, work.nobody)


def cycle_lock(workspace: Workspace) -> ProcessLock:
    """Held by the one process that runs a cycle."""
    lock = workspace.memory / "cycle.lock"
    return ProcessLock(lock, by=workspace.operator, what="running a cycle")


def _unwatched(items: Iterable[Any], what: str) -> Iterable[Any]:
    del what
    return items
