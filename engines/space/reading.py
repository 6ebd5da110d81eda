"""
A sector read as a network: its routes, and what its metadata says of them under `network`.

    network:
      capacity: 1                # of every route, or {ROUTE: number, …}; 0 closes one
      alpha: 0.15                # as above; by how much a route's cost has grown at capacity
      power: 4                   # as above; how sharply
      one_way: false             # routes are travelled from origin to destination only
      trips:                     # what wants to travel
        - {origin: Station 36, destination: Station 7, load: 0.4}

Without `trips` each route's load, congestion times capacity, is taken for what wants to travel
between its two ends.  Places and routes are numbered in the order of their names, so that no tie
depends on the order in which they were told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines import checks
from engines.errors import InvalidInput
from engines.space.model import SpaceSector
from engines.space.network import Floats, Latency, RouteNetwork, Trips, checked

KEY = "network"
_SETTINGS = {"capacity": 1.0, "alpha": 0.15, "power": 4.0}
_KNOWN = {*_SETTINGS, "one_way", "trips"}


@dataclass(frozen=True)
class Reading:
    """
    A sector as a network.

    Attributes:
        load: What the routes carry as they are, congestion times capacity, shape (m,); 0 for those
            that lead back to where they begin.
        told: The trips were told, not taken from the loads.
    """

    network: RouteNetwork
    trips: Trips
    load: Floats
    told: bool

    def trip_names(self, trip: int | np.signedinteger[Any]) -> tuple[str, str]:
        places = self.network.places
        return places[self.trips.origin[trip]], places[self.trips.destination[trip]]

    def trips_told(self) -> list[dict[str, Any]]:
        """The trips as they stand in a sector's metadata."""
        return [
            {"origin": origin, "destination": destination, "load": float(load)}
            for trip, load in enumerate(self.trips.load)
            for origin, destination in [self.trip_names(trip)]
        ]


def read(sector: SpaceSector) -> Reading:
    """
    The network of *sector*.

    Raises:
        InvalidInput: What its metadata says under `network` cannot be.
    """
    where = f"sector {sector.name!r}: metadata.{KEY}"
    told = checks.mapping((sector.metadata or {}).get(KEY), where)
    for name in told:
        if name not in _KNOWN:
            raise InvalidInput(f"{where}: no {name!r}{checks.did_you_mean(str(name), _KNOWN)}")
    routes = sorted(sector.routes, key=lambda route: route.identifier)
    names = tuple(route.identifier for route in routes)
    ends = {end for route in routes for end in (route.origin, route.destination)}
    places = tuple(sorted(ends | {body.name for body in sector.bodies}))
    number = {place: index for index, place in enumerate(places)}
    settings = {
        name: _each(told.get(name, default), default, names, f"{where}.{name}")
        for name, default in _SETTINGS.items()
    }
    one_way = told.get("one_way", False)
    if not isinstance(one_way, bool):
        raise InvalidInput(f"{where}.one_way must be true or false, found {one_way!r}")
    network = RouteNetwork(
        places,
        names,
        np.array([number[route.origin] for route in routes], dtype=np.int64),
        np.array([number[route.destination] for route in routes], dtype=np.int64),
        Latency(np.array([route.delta_v_kms for route in routes], dtype=float), **settings),
        both_ways=not one_way,
    )
    # What goes round from a place to itself has no other way, and is left as it is.
    going = [route.congestion if route.origin != route.destination else 0 for route in routes]
    load = settings["capacity"] * np.array(going, dtype=float)
    if "trips" in told:
        trips = _trips(told["trips"], number, f"{where}.trips")
    else:
        trips = Trips(network.tail, network.head, load).only(load > 0)
    checked(network, trips)
    return Reading(network, trips, load, "trips" in told)


def _each(told: Any, default: float, routes: tuple[str, ...], where: str) -> Floats:
    if not isinstance(told, Mapping):
        return np.full(len(routes), checks.at_least(told, 0, where))
    for name in told:
        if name not in routes:
            unknown = checks.did_you_mean(str(name), routes)
            raise InvalidInput(f"{where}: no route {name!r}{unknown}")
    return np.array([checks.at_least(told.get(r, default), 0, f"{where}.{r}") for r in routes])


def _trips(told: Any, number: Mapping[str, int], where: str) -> Trips:
    if isinstance(told, str | Mapping) or not hasattr(told, "__iter__"):
        raise InvalidInput(f"{where} must be a list of trips, found {told!r}")
    ends: dict[tuple[int, int], float] = {}
    for index, trip in enumerate(told):
        here = f"{where}[{index}]"
        if not isinstance(trip, Mapping) or trip.keys() != {"origin", "destination", "load"}:
            raise InvalidInput(f"{here} needs origin, destination and load, found {trip!r}")
        for end in (trip["origin"], trip["destination"]):
            if not isinstance(end, str) or end not in number:
                meant = checks.did_you_mean(str(end), number)
                raise InvalidInput(f"{here}: no place {end!r}{meant}")
        pair = number[trip["origin"]], number[trip["destination"]]
        load = checks.at_least(trip["load"], 0, f"{here}.load")
        ends[pair] = ends.get(pair, 0.0) + load
    pairs = sorted(pair for pair in ends if ends[pair] > 0)
    return Trips(
        np.array([origin for origin, _ in pairs], dtype=np.int64),
        np.array([destination for _, destination in pairs], dtype=np.int64),
        np.array([ends[pair] for pair in pairs], dtype=float),
    )
