"""All that a workspace's service looks after, each made when the service is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dino_os.scheduler.duty import SchedulerDuty
    from dino_os.work.duty import Duty
    from dino_os.workspace import Workspace


def duties_of(
    workspace: Workspace, scheduler: SchedulerDuty | None = None, *, once: bool = False
) -> list[Duty]:
    """
    Jobs (by *scheduler*, where there is one already), entities, orders, deliveries, what waits
    for the network or for a model, the documents, the memory, skills that hear messages, the
    cluster, the metrics, and provenance.

    Args:
        once: For one pass, which is to come to an end.
    """
    from dino_os.agent_core.duty import AskDuty  # noqa: PLC0415
    from dino_os.cluster.countersign_duty import CountersignDuty  # noqa: PLC0415
    from dino_os.cluster.duty import ClusterDuty  # noqa: PLC0415
    from dino_os.entities import EntityDuty  # noqa: PLC0415
    from dino_os.memory_layer.duty import EmbedDuty  # noqa: PLC0415
    from dino_os.message_bus.duty import BusDuty  # noqa: PLC0415
    from dino_os.metrics.duty import MetricsDuty  # noqa: PLC0415
    from dino_os.nav.duty import ReplayDuty  # noqa: PLC0415
    from dino_os.nav.health import HealthDuty  # noqa: PLC0415
    from dino_os.offline.duty import SyncDuty  # noqa: PLC0415
    from dino_os.offline.upkeep import UpkeepDuty  # noqa: PLC0415
    from dino_os.orders import OrdersDuty  # noqa: PLC0415
    from dino_os.outbox.duty import DeliveryDuty  # noqa: PLC0415
    from dino_os.provenance.duty import ProvenanceDuty  # noqa: PLC0415
    from dino_os.scheduler.duty import SchedulerDuty  # noqa: PLC0415

    return [
        scheduler or SchedulerDuty(workspace),
        EntityDuty(workspace),
        OrdersDuty(workspace),
        DeliveryDuty(workspace),
        AskDuty(workspace),
        ReplayDuty(workspace),
        HealthDuty(workspace),
        SyncDuty(workspace),
        UpkeepDuty(workspace),
        EmbedDuty(workspace),
        BusDuty(workspace, once=once),
        ClusterDuty(workspace),
        CountersignDuty(workspace),
        MetricsDuty(workspace),
        ProvenanceDuty(workspace),
    ]
