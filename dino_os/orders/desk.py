"""
The order desk of a workspace: what the commands call, and the duty that the service takes turns of.

Wires the orders to the till, which asks payment providers, and to the fulfiller, which makes tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError, NotFound
from dino_os.orders.fulfilment import Fulfiller, Turn
from dino_os.orders.till import Settled, Till
from dino_os.payments import Providers
from engines.orders import BY_HAND, Kind, Order, OrderState, Transfer

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


class OrderDesk:
    """The desk of *workspace*."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.orders = workspace.orders

    @cached_property
    def providers(self) -> Providers:
        return Providers(self._workspace)

    @cached_property
    def till(self) -> Till:
        return Till(self.orders, self.providers.get, self.providers.is_local)

    @cached_property
    def fulfiller(self) -> Fulfiller:
        from dino_os.orders.tasks import skill_task, task_queue  # noqa: PLC0415

        workspace = self._workspace

        def make(skill: str, params: Any, task_id: str, source: str) -> Any:
            return skill_task(workspace, skill, params, task_id=task_id, source=source)

        return Fulfiller(self.orders, lambda: task_queue(workspace), make, self.skills_for)

    def skills_for(self, order: Order) -> Sequence[str]:
        """The skills that fulfil it: its own, else those of its products, else the setting's."""
        settings = self._workspace.config.settings.orders
        if order.fulfil_with:
            return [order.fulfil_with]
        products = [settings.fulfil_products.get(item.product) for item in order.items]
        named = list(dict.fromkeys(skill for skill in products if skill))
        return named or [skill for skill in [settings.fulfilment_skill] if skill]

    def problems(self) -> list[str]:
        """What is wrong with the settings that name skills: what was paid would be stuck."""
        settings = self._workspace.config.settings.orders
        named = {"orders.fulfilment_skill": settings.fulfilment_skill}
        for product, skill in settings.fulfil_products.items():
            named[f"orders.fulfil_products.{product}"] = skill
        found = []
        for setting, skill in named.items():
            try:
                if skill:
                    self.check_skill(skill)
            except DinoError as error:
                found.append(f"{setting}: {error.message}")
        return found

    def check_skill(self, skill: str) -> None:
        """
        See to it that a skill can fulfil orders.

        Raises:
            UnknownSkill: There is none of that name.
            InvalidInput: It does not take an order, or needs a pool that there is not.
        """
        from dino_os.orders.tasks import skill_task  # noqa: PLC0415

        skill_task(self._workspace, skill, {"order": {}}, task_id="order:check", source="order")

    # --- what people ask for -------------------------------------------------------------------

    def pay(self, order_id: str, provider: str | None = None) -> Order:
        """Have an order paid, by default through the provider of the settings."""
        name = provider or self._workspace.config.settings.orders.provider
        order = self.till.pay(order_id, name)
        self._after(order)
        return self.orders.order(order_id)

    def confirm(self, order_id: str, *, who: str, method: str) -> Order:
        order = self.orders.confirm_by_hand(order_id, who=who, method=method)
        self._after(order)
        return self.orders.order(order_id)

    def fulfil(self, order_id: str, *, who: str) -> Order:
        """
        Record that *who* fulfilled it; the task that would do it again is taken back.

        Raises:
            WrongState: It cannot be fulfilled, or its task is doing it right now.
        """
        with self.orders.deciding():
            order = self.orders.fulfil(order_id, who=who)
            hint = f"its end is the order's; see `dino orders show {order_id}`"
            self.fulfiller.withdraw(order, f"fulfilled by {who}", hint=hint)
        return order

    def cancel(self, order_id: str, *, reason: str, who: str) -> Order:
        """Cancel it, and give back at once what was paid; what cannot be asked now stays open."""
        with self.orders.deciding():
            order = self.orders.order(order_id)
            if order.state is OrderState.CONFIRMED:
                hint = f"when it is done: dino orders refund {order_id}"
                self.fulfiller.withdraw(order, "the order is cancelled", hint=hint)
            order = self.orders.cancel(order_id, reason=reason, who=who)
        self._ask_open(order, Kind.REFUND)
        return self.orders.order(order_id)

    def refund(
        self, order_id: str, amount: int | None, *, who: str, key: str | None = None
    ) -> tuple[Order, Transfer]:
        """Give money back; the refund as it stands then."""
        with self.orders.deciding():
            asked = self.orders.want_refund(order_id, amount, who=who, key=key)
            order = self.orders.order(order_id)
            if order.fulfilment and not order.refundable and order.state is OrderState.CONFIRMED:
                # Nobody pays for it any more.  If it runs already, it is not stopped.
                self.fulfiller.stop(order.fulfilment.task_id, "the order is refunded")
        if asked.is_open:
            order = self.till.ask(order_id, Kind.REFUND, asked.number)
        found = next(t for t in order.refunds if t.number == asked.number)
        return order, found

    def settle(self, *, everything: bool = False) -> tuple[Settled, Turn]:
        """One turn by hand, network and all: ask providers, submit and follow tasks."""
        settled = self.till.settle(everything=everything)
        return settled, self.fulfiller.turn()

    def hear(self, name: str, answer: Any, provider: str = "http") -> Order:
        """
        Take a provider's own notice about the transfer that has *name*.

        Raises:
            NotFound: No transfer has it.
        """
        self.orders.refresh()
        for known in dict.fromkeys(filter(None, (name, answer.reference))):
            if found := self.orders.find_transfer(provider, known):
                order, transfer = found
                self.orders.answer(order.id, transfer.kind, transfer.number, answer)
                self._after(self.orders.order(order.id))
                return self.orders.order(order.id)
        raise NotFound(f"no payment and no refund of {provider} is called {name!r}")

    # --- below the face ----------------------------------------------------------------------

    def _after(self, order: Order) -> None:
        """What follows a payment at once: its task, or the way back of its money."""
        if order.cancelling is not None:
            self._ask_open(order, Kind.REFUND)
        elif order.wants_fulfilment:
            self.fulfiller.start(order.id)

    def _ask_open(self, order: Order, kind: Kind) -> None:
        for transfer in order.transfers:
            if transfer.kind is kind and transfer.is_open and transfer.provider != BY_HAND:
                self.till.ask(order.id, kind, transfer.number)
