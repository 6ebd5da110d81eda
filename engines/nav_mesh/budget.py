"""How much is under way at one time, and how much of it may be retries, as Envoy limits it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from engines.nav_mesh.routes import RouteRules


class Load:
    """What one process has under way for one domain."""

    def __init__(self, rules: RouteRules) -> None:
        self._rules = rules
        self._guard = threading.Lock()
        self.requests = 0
        self.retries = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[bool]:
        """One request while this lasts; hands out whether there is room for it."""
        with self._guard:
            room = self.requests < self._rules.max_requests
            self.requests += room
        try:
            yield room
        finally:
            with self._guard:
                self.requests -= room

    @contextlib.contextmanager
    def retry(self) -> Iterator[bool]:
        """One more attempt while this lasts; hands out whether the budget has one."""
        with self._guard:
            share = self.requests * self._rules.retry_percent / 100
            room = self.retries < max(share, self._rules.retry_least)
            self.retries += room
        try:
            yield room
        finally:
            with self._guard:
                self.retries -= room
