"""What entities do while a service runs: their runs, messages, routes and alerts."""

from dino_os.entities.duty import EntityDuty

__all__ = ["EntityDuty"]
