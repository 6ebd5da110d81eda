"""The operating system around the engines: skills, configuration, workspaces, the command line."""

from __future__ import annotations

from dino_os.skill import skill

TYPE_CHECKING = False
if TYPE_CHECKING:  # every skill imports this, in a process of its own
    from dino_os.provenance.face import tap
    from engines.again import Fatal, RetryLater

__version__ = "0.1.0"
__all__ = ["Fatal", "RetryLater", "skill", "tap"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'dino_os' has no attribute {name!r}")
    if name == "tap":
        from dino_os.provenance.face import tap  # noqa: PLC0415  by those who tap

        return tap
    from engines import again  # noqa: PLC0415  by those who say when to try again

    return getattr(again, name)
