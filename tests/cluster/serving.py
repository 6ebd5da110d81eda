"""
A node's scheduler as a process: FOLDER URL NODE NAMESPACE UNTIL SKEW_S [WHEN].

It takes turns until its clock, which stops at UNTIL, has come there and nothing is left to decide.
Its clock is ahead by SKEW_S.  It kills itself WHEN it holds its first claims: when these are begun,
when they are recorded, or when they are fired and nothing is submitted.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from dino_os.scheduler.model import RECORDED
from tests.cluster.sites import Site

LEASE_S = 1.0
JOBS, EVERY_MS = 4, 200


class Clock:
    def __init__(self, until: float, skew_s: float = 0.0) -> None:
        self.until, self.skew_s = until, skew_s

    def __call__(self) -> float:
        return min(time.time() + self.skew_s, self.until)


def opened(folder: Path, url: str, name: str, namespace: str, clock: Clock) -> Site:
    return Site(folder, url, name, namespace, clock, lease_s=LEASE_S)


def add_jobs(site: Site) -> None:
    for number in range(JOBS):
        options = {"everyMs": EVERY_MS, "overlap": "allow", "misfire": "fire_all"}
        site.desk.jobs.add_job(
            f"job-{number}", "harbour:measure", "interval", misfire_limit=1000, **options
        )


def kill_itself(site: Site, when: str) -> None:
    jobs, shared = site.desk.jobs, site.occurrences
    decide, confirm = jobs.decide_due, shared.confirm

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def decide_due(answers: Any = None) -> None:
        if when == "begun" and any(v.is_claim for v in (answers.verdicts or {}).values()):
            killed()
        decide(answers)

    def confirmed(held: Any, dropped: Any) -> Any:
        if when == "recorded" and held:
            killed()
        found = confirm(held, dropped)
        if when == "fired" and found:
            killed()
        return found

    jobs.decide_due = decide_due  # type: ignore[method-assign]
    shared.confirm = confirmed  # type: ignore[method-assign]


def main(site: Site, clock: Clock) -> None:
    jobs = site.desk.jobs
    while True:
        wake = site.desk.duty.turn()
        next_run = min(job.next_run or 0.0 for job in jobs._jobs.values())
        if next_run > clock.until and not jobs.held and not jobs.open_tasks(RECORDED):
            return
        time.sleep(min(max((wake or 0.0) - clock(), 0.005), 0.1))


if __name__ == "__main__":
    _folder, _url, _name, _namespace, _until, _skew_s, *_when = sys.argv[1:]
    _clock = Clock(float(_until), float(_skew_s))
    _site = opened(Path(_folder), _url, _name, _namespace, _clock)
    for _one in _when:
        kill_itself(_site, _one)
    main(_site, _clock)
