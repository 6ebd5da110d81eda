"""The operating system around the engines: skills, configuration, workspaces, the command line."""

from dino_os.skill import skill
from engines.again import Fatal, RetryLater

__version__ = "0.1.0"
__all__ = ["Fatal", "RetryLater", "skill"]
