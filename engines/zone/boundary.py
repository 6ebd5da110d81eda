"""Where a zone is: the box that it fills, and what a position is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines import checks
from engines.errors import InvalidInput
from engines.zone import sphere

Position = Sequence[float] | Mapping[str, float]
"""(x, y) or (x, y, z), or a mapping with those keys."""


@dataclass(frozen=True, slots=True)
class ZoneBoundary:
    """
    An axis-aligned box, its faces included; a flat zone has equal z limits.

    Raises:
        InvalidInput: A limit is not finite, or a minimum lies above its maximum.
    """

    min_x: float
    max_x: float
    min_y: float
    max_y: float
    min_z: float = 0.0
    max_z: float = 0.0
    coordinate_system: str = "cartesian"

    def __post_init__(self) -> None:
        for axis in "xyz":
            low, high = (
                checks.finite(getattr(self, side + axis), side + axis) for side in ("min_", "max_")
            )
            if low > high:
                raise InvalidInput(
                    f"boundary upside down: min_{axis} {low:g} > max_{axis} {high:g}"
                )
            object.__setattr__(self, f"min_{axis}", low)
            object.__setattr__(self, f"max_{axis}", high)
        system = checks.name(self.coordinate_system, "coordinate_system").lower()
        object.__setattr__(self, "coordinate_system", system)

    @property
    def is_geographic(self) -> bool:
        """Whether x and y are degrees of longitude and latitude."""
        return sphere.is_geographic(self.coordinate_system)

    @property
    def width(self) -> float:
        return self.max_x - self.min_x

    @property
    def height(self) -> float:
        return self.max_y - self.min_y

    @property
    def depth(self) -> float:
        return self.max_z - self.min_z

    def area(self) -> float:
        return self.width * self.height

    def volume(self) -> float:
        """Area times depth; a flat zone's volume is its area."""
        return self.area() * (self.depth or 1.0)

    def contains(self, position: Position, *, altitude: float | None = None) -> bool:
        """Whether the position lies in the box or on its faces; z is 0 where none is given."""
        x, y, z = coordinates(position, altitude)
        return (
            self.min_x <= x <= self.max_x
            and self.min_y <= y <= self.max_y
            and self.min_z <= z <= self.max_z
        )


def coordinates(position: Position, altitude: float | None = None) -> tuple[float, float, float]:
    """
    Return *position* as (x, y, z).

    Raises:
        InvalidInput: x or y is missing, or a coordinate is not a finite number.
    """
    try:
        if isinstance(position, Mapping):
            x, y = position["x"], position["y"]
            z = position.get("z", altitude)
        else:
            x, y = position[0], position[1]
            z = position[2] if len(position) > 2 else altitude  # noqa: PLR2004
    except (KeyError, IndexError, TypeError):
        raise InvalidInput(f"a position needs x and y, found {position!r}") from None
    return checks.finite(x, "x"), checks.finite(y, "y"), checks.finite(z or 0.0, "z")
