"""
Whether a skill may run as it asks: what the operator granted, in the record and in the settings.

Every grant, denial and override is recorded; a denial says the command that would grant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dino_os.errors import Denied, InvalidInput, NotFound
from dino_os.grants import Grant, Permissions, Request, check, decide
from dino_os.skill_sources import Sources, read_sources
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.security_log import SecurityLog
    from dino_os.skill_index import Skill


class Admission:
    """
    The operator's answers to what skills ask for.

    Args:
        log: Opens the record of the answers.
        configured: Skill → what the settings grant it, in any version.
    """

    def __init__(
        self, log: Callable[[], SecurityLog], configured: Mapping[str, Permissions]
    ) -> None:
        self._open_log = log
        self._configured = configured

    @cached_property
    def _log(self) -> SecurityLog:
        """Opened when it is needed: a skill that asks for nothing needs none."""
        return self._open_log()

    def admit(self, skill: Skill) -> tuple[Request, Sources]:
        """
        What *skill* may do now, and the text that will run.

        Raises:
            Denied: It asks for what it was not granted; that is recorded.
            InvalidInput: It asks for what nobody can grant, or cannot be read.
        """
        request, sources = self.request(skill)
        if request.permissions:
            try:
                decide(request, self.grants_of(skill.name))
            except Denied as error:
                self._log.note(
                    "run_denied",
                    _entity(skill.name),
                    "denied",
                    source_sha256=request.sha256,
                    wanted=request.permissions.as_dict(),
                    why=error.message,
                )
                raise
        return request, sources

    def request(self, skill: Skill) -> tuple[Request, Sources]:
        """
        What *skill* asks for.

        Raises:
            InvalidInput: It cannot be read, or asks for what nobody can grant.
        """
        sources = read_sources(skill)
        request = Request.of(skill, sources.sha256)
        check(request.permissions)
        return request, sources

    def covers(self, request: Request) -> bool:
        """Whether what was granted covers *request*."""
        try:
            decide(request, self.grants_of(request.name))
        except Denied:
            return False
        return True

    def grant(self, skill: Skill, *, by: str, any_version: bool = False) -> Grant:
        """Grant *skill* what it asks for, in this version of its source or in any."""
        request, _ = self.request(skill)
        grant = Grant(request.permissions, None if any_version else request.sha256)
        self._log.grant_skill(skill.name, grant.permissions.as_dict(), grant.sha256, by=by)
        return grant

    def revoke(self, name: str, *, by: str) -> None:
        """
        Take back what was granted to the skill *name*, the leave to run unconfined included.

        Raises:
            NotFound: The record grants it nothing.
        """
        if not self._log.revoke_skill(name, by=by):
            if name in self._configured:
                raise InvalidInput(
                    f"{name!r} is granted by config.yaml, not by the record",
                    hint=f"take it out of sandbox.grants.{name} there",
                )
            known = self._log.skills
            raise NotFound(
                f"nothing is granted to {name!r}{did_you_mean(name, known)}",
                hint="`dino grants` shows what is",
            )

    def override(self, skill: Skill, why: str, *, by: str) -> None:
        """Let this version of *skill* run where no sandbox can be made; recorded, with *why*."""
        request, _ = self.request(skill)
        self._log.override_sandbox(skill.name, request.sha256, why, by=by)

    def may_run_unconfined(self, request: Request) -> bool:
        self._log.refresh()
        return self._log.overrides.get(request.name) == request.sha256

    def grants_of(self, name: str) -> list[Grant]:
        """What the skill *name* is granted, by the record and by the settings."""
        self._log.refresh()
        found = []
        if recorded := self._log.skills.get(name):
            found.append(Grant(Permissions.of(recorded["permissions"]), recorded["sha256"]))
        if configured := self._configured.get(name):
            found.append(Grant(configured, None, "config.yaml"))
        return found

    def all(self) -> Mapping[str, list[Grant]]:
        """Skill → its grants."""
        self._log.refresh()
        names = sorted({*self._log.skills, *self._configured})
        return {name: self.grants_of(name) for name in names}

    def unconfined(self) -> Mapping[str, str]:
        """Skill → the version of it that may run where no sandbox can be made."""
        self._log.refresh()
        return dict(self._log.overrides)

    def note_refusals(self, name: str, run_id: str, refusals: Mapping[str, Any]) -> None:
        """Record what a run tried and was refused."""
        self._log.note("run_refused", _entity(name), "denied", run_id=run_id, **refusals)


def _entity(name: str) -> str:
    return f"skill:{name}"
