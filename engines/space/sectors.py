"""The sectors by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from engines import checks
from engines.space.model import SectorNotFoundError, SpaceSector


@dataclass
class Space:
    """The sectors by name, to look at."""

    _sectors: dict[str, SpaceSector] = field(default_factory=dict)

    def get_sector(self, name: str) -> SpaceSector:
        """
        The sector of that name.

        Raises:
            SectorNotFoundError: There is none (a KeyError too).
        """
        sector = self._sectors.get(name)
        if sector is None:
            raise SectorNotFoundError(
                f"no sector named {name!r}{checks.did_you_mean(name, self._sectors)}",
                hint="`dino sector list` shows them; `dino sector add` makes one",
            )
        return sector

    def __contains__(self, name: object) -> bool:
        return name in self._sectors

    @property
    def sectors(self) -> tuple[SpaceSector, ...]:
        return tuple(self._sectors.values())
