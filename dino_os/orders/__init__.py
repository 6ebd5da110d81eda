"""Orders at work: the desk that commands call, and the duty that the service takes turns of."""

from dino_os.orders.desk import OrderDesk
from dino_os.orders.duty import OrdersDuty

__all__ = ["OrderDesk", "OrdersDuty"]
