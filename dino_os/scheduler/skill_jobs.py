"""
The scheduler as a sandboxed skill has it: jobs that run the skill itself, and are its own.

A job runs later, with the rights of what it runs.  What was let into the sandbox must not leave it
that way: not as a function of the host, nor as another skill, nor as somebody's job with other
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dino_os.errors import Denied
from dino_os.scheduler.jobs import Jobs, trigger_said
from dino_os.scheduler.triggers import refuse_too_often


class SkillJobs:
    """
    *jobs* for one skill.

    Args:
        skill: Its name, and what its jobs run.
        entity: As the gateway knows it, and whose they are.
    """

    def __init__(self, jobs: Jobs, skill: str, entity: str) -> None:
        self._jobs = jobs
        self._skill = skill
        self._entity = entity
        self.job_count = jobs.job_count
        self.running_jobs = jobs.running_jobs
        self.next_runs = jobs.next_runs

    # --- commands ----------------------------------------------------------------------------

    def add_job(
        self,
        name: str,
        func: str,
        trigger: Any,
        params: Mapping[str, Any] | None = None,
        *,
        replace: bool = False,
        **options: Any,
    ) -> str:
        if func != self._skill:
            raise Denied(
                f"a job of the skill {self._skill!r} runs itself, not {str(func)[:100]!r}",
                hint="`dino scheduler add` is for the others",
            )
        refuse_too_often(trigger_said(trigger, options))
        with self._jobs.asked_by(self._entity):
            return self._jobs.add_job(name, func, trigger, params, replace=replace, **options)

    def remove_job(self, job_id: str) -> bool:
        with self._jobs.asked_by(self._entity):
            return self._jobs.remove_job(job_id)

    def pause(self, job_id: str, until: str | None = None) -> bool:
        with self._jobs.asked_by(self._entity):
            return self._jobs.pause(job_id, until)

    def resume(self, job_id: str, *, skip_missed: bool | None = None) -> bool:
        with self._jobs.asked_by(self._entity):
            return self._jobs.resume(job_id, skip_missed=skip_missed)

    def run_now(self, job_id: str) -> bool:
        with self._jobs.asked_by(self._entity):
            return self._jobs.run_now(job_id)

    # --- queries -----------------------------------------------------------------------------

    def list_jobs(self) -> list[dict[str, Any]]:
        """All, those of others without their parameters."""
        return [
            job if job["owner"] == self._entity else _without(job, "params")
            for job in self._jobs.list_jobs()
        ]

    def history(self, job_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """As the scheduler has it; how runs of others failed may tell of their parameters."""
        found = self._jobs.history(job_id, limit)
        if self._jobs.owner_of(job_id) == self._entity:
            return found
        return [one | {"reason": None} if one["state"] == "ended" else one for one in found]


def _without(job: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key != name}
