"""
The operating system's leaves on the tree of errors (its trunk is `engines.errors`).

DinoError
├── InvalidInput
│   ├── ConfigError        config.yaml or a DINO_… variable       exit 2
│   ├── SkillConflict      two skills of one name                 exit 2
│   └── UnknownSkill       no skill has that name                 exit 2
├── Denied                 neither asked for nor granted          exit 3
├── SecurityError          vault, keys, permissions               exit 1
│   ├── VaultBroken        not the file that was last written     exit 1   (security_gateway.model)
│   ├── VaultLocked        what opens it is missing or wrong      exit 1   (as above)
│   └── RateLimited        a key was asked for too often          exit 4   (as above)
├── SandboxError           the sandbox could not do its work      exit 1
│   └── NotConfined        nothing here enforces one              exit 3
├── MemoryLayerError       the memory store                       exit 1
│   ├── EmbedderMissing    what embeds is not installed           exit 2   (memory_layer.embedding)
│   └── EmbedderUnavailable  nor does it answer                   exit 4   (as above)
├── MessageBusError        the message bus                        exit 1
│   ├── RequestFailed      whoever got a request could not        exit 1
│   └── RequestTimedOut    nobody answered in time                exit 124
├── ClusterError           what joins this node to others         exit 1
│   ├── ClusterUnavailable  it cannot be reached now              exit 4   (cluster.connection)
│   └── NodeRefused        another one has this node's name       exit 1   (cluster.nodes)
├── SchedulerError         the scheduler                          exit 1
├── AgentFailed            a run of a model came to nothing       exit 1
│   ├── AgentBlocked       it was stopped at its limit            exit 1
│   └── ReplayDiffers      it goes another way than it went       exit 1
├── EntityError            an entity is in no state for it        exit 1
│   └── ResourcesTaken     what it needs is not free              exit 4
├── ModelError             a language model's answer is of no use exit 1
│   ├── ModelUnavailable   none can be asked now                  exit 4
│   └── ModelTimedOut      none answered in time                  exit 124
└── SkillFailed            a skill ran and did not succeed        exit 1
    └── SkillTimedOut      it was stopped at its time limit       exit 124
"""

from __future__ import annotations

from engines.errors import DinoError, InvalidInput, NotFound

__all__ = [
    "AgentBlocked",
    "AgentFailed",
    "ClusterError",
    "ConfigError",
    "Denied",
    "DinoError",
    "EntityError",
    "InvalidInput",
    "MemoryLayerError",
    "MessageBusError",
    "ModelError",
    "ModelNotReady",
    "ModelTimedOut",
    "ModelUnavailable",
    "NotConfined",
    "NotFound",
    "ReplayDiffers",
    "RequestFailed",
    "RequestTimedOut",
    "ResourcesTaken",
    "SandboxError",
    "SchedulerError",
    "SecurityError",
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


class Denied(DinoError):
    """Something was wanted that was not asked for, or not granted."""

    exit_code = 3


class SecurityError(DinoError):
    """The vault, a key or a permission."""


class SandboxError(DinoError):
    """The sandbox could not do its work."""


class NotConfined(SandboxError):
    """Nothing on this machine enforces a sandbox, or not all that a run needs."""

    exit_code = 3


class MemoryLayerError(DinoError):
    """The memory store."""


class MessageBusError(DinoError):
    """The message bus."""


class RequestFailed(MessageBusError):
    """Whoever got the request could not answer it."""


class RequestTimedOut(MessageBusError):
    """Nobody answered in time."""

    exit_code = 124


class ClusterError(DinoError):
    """What joins this node to the others of its cluster."""


class SchedulerError(DinoError):
    """The scheduler."""


class AgentFailed(DinoError):
    """A run of a model came to nothing."""


class AgentBlocked(AgentFailed):
    """A run of a model was stopped at its limit."""


class ReplayDiffers(AgentFailed):
    """A run that is gone through again goes another way than is on record."""


class EntityError(DinoError):
    """An entity is in a state in which that cannot be done."""


class ResourcesTaken(EntityError):
    """What an entity needs is not free now."""

    exit_code = 4


class ModelError(DinoError):
    """What a language model answered is of no use, or it refused."""


class ModelNotReady(ModelError):
    """No language model answers until somebody mends what is wrong: a key, a name, an account."""


class ModelUnavailable(ModelError):
    """No language model can be asked now."""

    exit_code = 4


class ModelTimedOut(ModelError):
    """A language model did not answer in time."""

    exit_code = 124


class SkillFailed(DinoError):
    """A skill ran and did not succeed."""


class SkillTimedOut(SkillFailed):
    """A skill was stopped at its time limit."""

    exit_code = 124
