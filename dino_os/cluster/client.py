"""The client of nats-py, which asks us about each server before it says anything to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nats import errors
from nats.aio.client import Client as NatsClient
from nats.js import JetStreamContext
from nats.js.api import PubAck

from dino_os.cluster.trust import Refused

Judge = Callable[[dict[str, Any], str, int], None]


class _RefusedServer(errors.Error, Refused):
    """As nats-py takes it: this server will not do, the next one may."""


class _Careful(NatsClient):
    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self._judge = judge

    # The first that is called with what a server said of itself, and before CONNECT is written;
    # nats-py has no hook there.  tests/cluster/test_trust.py watches that it stays so.
    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002  its signature
        if initial_connection:
            peer, fd = _other_end(self)
            try:
                self._judge(info, peer, fd)
            except Refused as refused:
                raise _RefusedServer(refused.reason) from None
        await super()._process_info(info, initial_connection)


def careful_client(judge: Judge) -> NatsClient:
    """
    A client whose every connection is first judged.

    Args:
        judge: Given what the server says of itself, the address of the other end, and the socket's
            descriptor; raises `Refused`.
    """
    return _Careful(judge)


class _InDomain(JetStreamContext):
    """JetStream of another domain: nats-py would write to buckets of this one."""

    async def publish(self, subject: str, *args: Any, **kwargs: Any) -> PubAck:
        if subject.startswith("$KV."):
            subject = f"{self._prefix}.{subject}"
        return await super().publish(subject, *args, **kwargs)


def jetstream(nc: NatsClient, domain: str) -> JetStreamContext:
    """JetStream over *nc*, of that domain or of the server's own."""
    return _InDomain(nc, domain=domain) if domain else nc.jetstream()


def _other_end(client: Any) -> tuple[str, int]:
    writer = client._transport._bare_io_writer  # noqa: SLF001  as above
    return str(writer.get_extra_info("peername")[0]), writer.get_extra_info("socket").fileno()
