"""Orders: what was ordered, paid, given back and fulfilled, and what that earns."""

from engines.orders.book import due_at
from engines.orders.engine import Orders
from engines.orders.model import Fulfilment, FulfilmentState, Item, KeyReused, Order, OrderNotFound
from engines.orders.money import EXPONENTS, Money, currency_code, decimal, minor_units, parse_money
from engines.orders.projection import Projection, project
from engines.orders.revenue import Day, Revenue, revenue_of
from engines.orders.transfer import Answer, Kind, Outcome, Transfer, TransferState
from engines.orders.transfers import BY_HAND
from engines.orders.transitions import TRANSITIONS, Action, OrderState, WrongState

__all__ = [
    "BY_HAND",
    "EXPONENTS",
    "TRANSITIONS",
    "Action",
    "Answer",
    "Day",
    "Fulfilment",
    "FulfilmentState",
    "Item",
    "KeyReused",
    "Kind",
    "Money",
    "Order",
    "OrderNotFound",
    "OrderState",
    "Orders",
    "Outcome",
    "Projection",
    "Revenue",
    "Transfer",
    "TransferState",
    "WrongState",
    "currency_code",
    "decimal",
    "due_at",
    "minor_units",
    "parse_money",
    "project",
    "revenue_of",
]
