from collections.abc import Iterable
from typing import TypedDict, type_check_only

from typing_extensions import disjoint_base

@type_check_only
class OpenOrder(TypedDict):
    """One slot in use; tick, qty (remaining) in units of the core, state as a word."""

    slot: int
    generation: int
    state: str
    side: int
    tick: int
    qty: int
    level: int

@type_check_only
class OrderPlan(TypedDict):
    """Slots to cancel; (slot, wanted level) to amend or replace; wanted levels to place."""

    cancel: list[int]
    amend: list[tuple[int, int]]
    replace: list[tuple[int, int]]
    place: list[int]
    waiting: int
    kept: int

@disjoint_base
class Orders:
    """The slots of one trader, for tests and notebooks; the engine works on the struct inside.

    n_slots: 1 to 160.  amend: 0 the venue cannot, 1 quantity down only, 2 price and quantity.
    requote_bps, size_tolerance: an order within both of a wanted level is kept.  generation: that
    of a slot's first order is the next; traders of one account count in ranges of their own, so
    that slot and generation name an order of any of them.
    """

    def __init__(
        self,
        n_slots: int = 160,
        *,
        amend: int = 2,
        requote_bps: float = 0.0,
        size_tolerance: float = 0.0,
        generation: int = 0,
    ) -> None: ...
    def place(
        self, side: int, tick: int, qty: int, *, level: int = 0, ts_ns: int = 0
    ) -> tuple[int, int] | None: ...
    def amend(self, slot: int, tick: int, qty: int, *, ts_ns: int = 0) -> None: ...
    def cancel(self, slot: int, *, ts_ns: int = 0) -> None: ...
    def answer(
        self,
        kind: int,
        slot: int,
        generation: int,
        *,
        tick: int = 0,
        qty: int = 0,
        code: int = 0,
        maker: bool = True,
        last: bool = False,
    ) -> bool: ...
    def plan(self, side: int, levels: Iterable[tuple[int, int]]) -> OrderPlan: ...
    def open(self) -> list[OpenOrder]: ...
    @property
    def open_buy(self) -> int: ...
    @property
    def open_sell(self) -> int: ...
    @property
    def n_flight(self) -> int: ...
    @property
    def n_orphans(self) -> int: ...
