"""Which zone is a part of which."""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.errors import InvalidInput


@dataclass(slots=True)
class Nesting:
    """*parents*: by zone the one it is a part of, where it is part of one."""

    parents: dict[str, str] = field(default_factory=dict)

    def changes(self, zone: str, parent: str | None) -> bool:
        """
        Whether *parent* is news to *zone*.

        Raises:
            InvalidInput: It is the zone itself or a part of it.
        """
        above = parent
        while above is not None:
            if above == zone:
                raise InvalidInput(f"zone {parent!r} is a part of {zone!r}, not around it")
            above = self.parents.get(above)
        return self.parents.get(zone) != parent

    def put(self, zone: str, parent: str | None) -> None:
        if parent is None:
            self.parents.pop(zone, None)
        else:
            self.parents[zone] = parent

    def remove(self, zone: str) -> None:
        """Parts of *zone* become parts of what it was a part of."""
        above = self.parents.pop(zone, None)
        for child in [child for child, parent in self.parents.items() if parent == zone]:
            self.put(child, above)

    def depths(self) -> dict[str, int]:
        """How many zones are around each one that is a part."""
        found: dict[str, int] = {}
        for zone in self.parents:
            path = []
            above: str | None = zone
            while above is not None and above not in found:
                path.append(above)
                above = self.parents.get(above)
            base = found[above] if above is not None else -1
            for step, name in enumerate(reversed(path), start=1):
                found[name] = base + step
        return found
