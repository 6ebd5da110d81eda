"""
A node's scheduler as a process: FOLDER URL NODE NAMESPACE UNTIL SKEW_S.

It takes turns until its clock, which stops at UNTIL, has come there and nothing is left to decide.
Its clock is ahead by SKEW_S.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

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


def main(folder: Path, url: str, name: str, namespace: str, clock: Clock) -> None:
    site = opened(folder, url, name, namespace, clock)
    jobs = site.desk.jobs
    while True:
        wake = site.desk.duty.turn()
        next_run = min(job.next_run or 0.0 for job in jobs._jobs.values())
        if next_run > clock.until and not jobs.held and not jobs.open_tasks(RECORDED):
            return
        time.sleep(min(max((wake or 0.0) - clock(), 0.005), 0.1))


if __name__ == "__main__":
    _, _folder, _url, _name, _namespace, _until, _skew_s = sys.argv
    main(Path(_folder), _url, _name, _namespace, Clock(float(_until), float(_skew_s)))
