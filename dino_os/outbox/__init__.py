"""What is handed to people and programs outside: queued durably, sent once, later where need be."""

from dino_os.outbox.addresses import Address
from dino_os.outbox.engine import Limits, Outbox
from dino_os.outbox.model import Delivery, Draft
from dino_os.outbox.sender import Sender, Sent

__all__ = ["Address", "Delivery", "Draft", "Limits", "Outbox", "Sender", "Sent"]
