"""
The operating system's leaves on the tree of errors (its trunk is `engines.errors`).

DinoError
├── InvalidInput
│   ├── ConfigError        config.yaml or a DINO_… variable       exit 2
│   ├── SkillConflict      two skills of one name                 exit 2
│   └── UnknownSkill       no skill has that name                 exit 2
└── SkillFailed            a skill ran and did not succeed        exit 1
    └── SkillTimedOut      it was stopped at its time limit       exit 124
"""

from __future__ import annotations

from engines.errors import DinoError, InvalidInput, NotFound

__all__ = [
    "ConfigError",
    "DinoError",
    "InvalidInput",
    "NotFound",
    "SkillConflict",
    "SkillFailed",
    "SkillTimedOut",
    "UnknownSkill",
]


class ConfigError(InvalidInput):
    """A setting that does not exist or does not fit; names its file, line and path."""


class SkillConflict(InvalidInput):
    """Two skills have one name; neither runs until one is renamed."""


class UnknownSkill(NotFound):
    """No skill has that name."""


class SkillFailed(DinoError):
    """A skill ran and did not succeed."""


class SkillTimedOut(SkillFailed):
    """A skill was stopped at its time limit."""

    exit_code = 124
