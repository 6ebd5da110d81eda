"""Payment providers: the contract, the sandbox, HTTP, webhooks, and which there are."""

from dino_os.payments.model import Charge, PaymentProvider
from dino_os.payments.registry import Providers

__all__ = ["Charge", "PaymentProvider", "Providers"]
