"""
Which side of a line a point lies on: exact for all finite coordinates.

Floating point decides where its error cannot change the sign, rational numbers where it could
(Shewchuk 1997, "Adaptive precision floating-point arithmetic and fast robust geometric
predicates": the bound of its first stage).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EPSILON = 2.0**-53
_RELATIVE = (3 + 16 * _EPSILON) * _EPSILON
_UNDERFLOW = 1e-290  # products below it may have lost digits
_WHOLE = 2.0**25  # products of differences of whole numbers below it are exact


def side(  # noqa: PLR0917  three points
    ax: float, ay: float, bx: float, by: float, px: float, py: float
) -> int:
    """1 where p lies left of the line from a to b, -1 where right of it, 0 on it."""
    left, right = (bx - ax) * (py - ay), (by - ay) * (px - ax)
    turn, bound = left - right, _RELATIVE * (abs(left) + abs(right)) + _UNDERFLOW
    if turn > bound:
        return 1
    if -turn > bound:
        return -1
    return _exact(ax, ay, bx, by, px, py)


def sides(  # noqa: PLR0917
    ax: Floats, ay: Floats, bx: Floats, by: Floats, px: Floats, py: Floats
) -> Any:
    """`side` of many; whole numbers as arrays of the same length."""
    import numpy as np  # noqa: PLC0415

    with np.errstate(over="ignore", invalid="ignore"):
        left, right = (bx - ax) * (py - ay), (by - ay) * (px - ax)
        turn = left - right
        sure = np.abs(turn) > _RELATIVE * (np.abs(left) + np.abs(right)) + _UNDERFLOW
    signs = np.where(turn > 0, 1, -1).astype(np.int8)
    (unsure,) = np.nonzero(~sure)
    if unsure.size:
        points = np.stack([values[unsure] for values in (ax, ay, bx, by, px, py)])
        whole = ((np.rint(points) == points) & (np.abs(points) < _WHOLE)).all(axis=0)
        signs[unsure[whole]] = np.sign(turn[unsure[whole]])
        for place, values in zip(unsure[~whole], points[:, ~whole].T.tolist(), strict=True):
            signs[place] = _exact(*values)
    return signs


def _exact(  # noqa: PLR0917
    ax: float, ay: float, bx: float, by: float, px: float, py: float
) -> int:
    # Equal coordinates are common (points on the sides of boxes) and need no fractions.
    if (ax == bx == px) or (ay == by == py) or (ax == px and ay == py) or (bx == px and by == py):
        return 0
    from fractions import Fraction  # noqa: PLC0415  seldom needed

    a, b, c, d, e, f = map(Fraction, (ax, ay, bx, by, px, py))
    turn = (c - a) * (f - b) - (d - b) * (e - a)
    return (turn > 0) - (turn < 0)
