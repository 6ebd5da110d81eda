"""The streams that jobs and reports lie in, and the consumers that they are taken by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nats.js.api import ConsumerConfig, StreamConfig

    from dino_os.cluster.link import Client, Link

_FORGET_CONSUMER_S = 3600.0
_RESULT_WAIT_S = 60.0
_REMEMBER_S = 120.0  # message ids
_MANY = 20_000


def message_id(node: str, session: str, lease: int) -> str:
    """By which JetStream knows the same job when it is published twice."""
    return f"{node}.{session}.{lease}"


async def id_of(client: Client, stream: str, seq: int) -> str | None:
    """The id of the message of that number; None where it, or the stream, is not there."""
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    try:
        found = await client.js.get_msg(stream, seq)
    except NotFoundError:
        return None
    return (found.headers or {}).get("Nats-Msg-Id")


def consumer(name: str, subject: str, ack_wait_s: float) -> ConsumerConfig:
    from nats.js.api import AckPolicy, ConsumerConfig  # noqa: PLC0415  heavy, as wherever nats is

    return ConsumerConfig(
        durable_name=name,
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        max_ack_pending=_MANY,
        inactive_threshold=_FORGET_CONSUMER_S,
    )


def results_consumer(link: Link, node: str) -> ConsumerConfig:
    config = consumer(f"results-{node}", link.subject("result", node), _RESULT_WAIT_S)
    config.inactive_threshold = None  # what is there for it stays, however long it is away
    return config


def jobs_stream(link: Link) -> StreamConfig:
    return _stream(link, "TASKS", "job")


def results_stream(link: Link) -> StreamConfig:
    return _stream(link, "RESULTS", "result")


def _stream(link: Link, name: str, subjects: str) -> StreamConfig:
    from nats.js.api import (  # noqa: PLC0415
        DiscardPolicy,
        RetentionPolicy,
        StorageType,
        StreamConfig,
    )

    return StreamConfig(
        name=link.stream(name),
        subjects=[link.subject(subjects, ">")],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,  # a full one refuses: nothing is dropped that was taken
        # Without a limit of bytes, which a server would set aside: owners have only so much out.
        max_age=link.settings.keep_s,
        duplicate_window=_REMEMBER_S,
    )
