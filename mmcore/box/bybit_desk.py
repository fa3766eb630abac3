"""Orders of Bybit's two products, as REST and the trade socket ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mmcore.events import TimeInForce

from .accounts import Account
from .bybit_codes import LINEAR, SPOT, Fault, bad, refused, too_often, unknown_symbol
from .bybit_words import (
    EMPTY_CATEGORIES,
    LINK_ID,
    NS_PER_MS,
    PRICE_TICKS_MAX,
    SIDES,
    TIFS,
    VENUES,
    Listing,
    listing,
    number,
    order_id,
    order_number,
)
from .exchange import Exchange
from .floor import Floor
from .orders import NewOrder, Order, Refusal, RefusalKind, Status

Params = Mapping[str, Any]
Answer = dict[str, Any]

BATCH_MAX = {LINEAR: 20, SPOT: 10}
CANCEL_ALL_MAX = 500
WALK_LEVELS = 200
LATE_NS = 2_000_000  # so long after its last fill, a cancel of an order is still acknowledged
ORDER_TYPES = frozenset({"Limit", "Market"})
SMP_TYPES = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
MARKET_UNITS = frozenset({"", "baseCoin", "quoteCoin"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an order goes: a floor and how Bybit writes it."""

    floor: Floor
    listed: Listing

    @property
    def category(self) -> str:
        return self.listed.category


class Desk:
    """Create, amend and cancel, single and in batches; errors are :class:`Fault`.

    post_only_acked: by category, whether a post-only order that would take is acknowledged and
    dies on the order stream (as on linear), or is refused at once.
    race: called with an order before its cancel is looked at; a fault script may let it fill.
    lost: told of an order whose cancel was acknowledged a moment after it had filled.
    """

    def __init__(
        self, exchange: Exchange, *, race: Callable[[Account, Order, int], None] | None = None
    ) -> None:
        self.exchange = exchange
        self.race = race
        self.lost: Callable[[Order], None] | None = None
        self.post_only_acked = {LINEAR: True, SPOT: True}
        self.places: dict[tuple[str, str], Place] = {}
        for floor in exchange.floors:
            for category, venue in VENUES.items():
                if floor.venue == venue:
                    place = Place(floor, listing(floor.instrument))
                    self.places[category, floor.symbol] = place
        self.by_floor = {place.floor: place for place in self.places.values()}

    # -- what a request is about

    def of(self, category: str) -> list[Place]:
        """The places of a category."""
        return [place for (name, _), place in self.places.items() if name == category]

    def category(self, params: Params) -> str:
        """``category`` of a request that trades."""
        category = params.get("category")
        if not isinstance(category, str) or category not in VENUES:
            if isinstance(category, str) and category in EMPTY_CATEGORIES:
                raise bad("category not supported for this account")
            raise bad("category only support linear or spot")
        return category

    def place(self, category: str, symbol: object) -> Place:
        """The place of a symbol."""
        found = self.places.get((category, symbol)) if isinstance(symbol, str) else None
        if found is None:
            raise unknown_symbol(category)
        return found

    def order(self, account: Account, place: Place, params: Params) -> Order:
        """The order that ``orderId``, which wins, or ``orderLinkId`` names."""
        ident, link = params.get("orderId"), params.get("orderLinkId")
        if ident:
            found = self.by_id(account, place.category, ident)
            if found is not None and found.floor is not place.floor:
                found = None
        elif isinstance(link, str) and link:
            found = self.exchange.find(account, client_id=link, floor=place.floor)
        else:
            raise bad("orderId or orderLinkId is required")
        if found is None:
            raise refused(Refusal(RefusalKind.UNKNOWN_ORDER, "no such order"), place.category)
        return found

    def by_id(self, account: Account, category: str, ident: object) -> Order | None:
        """The account's order of that id, open or recent."""
        number_ = order_number(category, ident)
        if number_ is None:
            return None
        return self.exchange.find(account, order_id=number_)

    # -- single requests

    def create(self, account: Account, category: str, params: Params, now_ns: int) -> Answer:
        """Place an order; the answer says that it was accepted, and no more."""
        place = self.place(category, params.get("symbol"))
        new = self.new_order(account, place, params)
        try:
            order = self.exchange.place(account, new, now_ns)
        except Refusal as refusal:
            late = refusal.kind is RefusalKind.POST_ONLY and self.post_only_acked[category]
            if not late or refusal.order is None:
                raise refused(refusal, category) from None
            order = refusal.order
        return _named(place, order)

    def new_order(self, account: Account, place: Place, params: Params) -> NewOrder:
        """A request's order in the exchange's terms."""
        side = params.get("side")
        kind = params.get("orderType")
        tif = params.get("timeInForce") or "GTC"
        link = params.get("orderLinkId") or ""
        reduce_only = params.get("reduceOnly") or False
        if not isinstance(side, str) or side not in SIDES:
            raise bad("Side invalid")
        if not isinstance(kind, str) or kind not in ORDER_TYPES:
            raise bad("OrderType invalid")
        if not isinstance(tif, str) or tif not in TIFS:
            raise bad("TimeInForce invalid")
        if not isinstance(link, str) or (link and not LINK_ID.fullmatch(link)):
            raise bad("OrderLinkId invalid")
        if not isinstance(reduce_only, bool):
            raise bad("ReduceOnly invalid")
        _check_modes(account, params)
        market = kind == "Market"
        extra = _extra(params, "IOC" if market else tif)
        tick = 0 if market else self._tick(place, params.get("price"))
        if market and place.category == SPOT and _by_quote(params):
            qty = self._bought(place, number(params.get("qty"), "Qty"), SIDES[side])
            extra["quoteQty"] = params["qty"]
        else:
            qty = self._qty(place, params.get("qty"))
        return NewOrder(
            floor=place.floor,
            side=SIDES[side],
            qty=qty,
            tick=tick,
            tif=TimeInForce.IOC if market else TIFS[tif],
            market=market,
            reduce_only=reduce_only and place.category == LINEAR,
            client_id=link,
            extra=extra,
        )

    def amend(self, account: Account, category: str, params: Params, now_ns: int) -> Answer:
        """Change price or quantity, whichever is given."""
        place = self.place(category, params.get("symbol"))
        tick = qty = None
        if params.get("price"):
            tick = self._tick(place, params["price"])
        if params.get("qty"):
            qty = self._qty(place, params["qty"])
        order = self.order(account, place, params)
        if tick is None and qty is None:
            raise refused(Refusal(RefusalKind.NOT_CHANGED, "nothing to change"), category)
        try:
            self.exchange.amend(account, order, tick=tick, qty=qty, now_ns=now_ns)
        except Refusal as refusal:
            raise refused(refusal, category, order) from None
        return _named(place, order)

    def cancel(self, account: Account, category: str, params: Params, now_ns: int) -> Answer:
        """Cancel one order."""
        place = self.place(category, params.get("symbol"))
        order = self.order(account, place, params)
        if self.race is not None:
            self.race(account, order, now_ns)
        try:
            self.exchange.cancel(account, order, now_ns)
        except Refusal as refusal:
            # An acknowledgement means no more than that the request was taken on: the cancel that
            # reaches the matching a moment after the last fill fails there, on the order stream.
            lately = order.status is Status.FILLED and now_ns - order.updated_ns < LATE_NS
            if self.lost is None or not lately:
                raise refused(refusal, category, order) from None
            self.lost(order)
        return _named(place, order)

    def cancel_all(self, account: Account, category: str, params: Params, now_ns: int) -> Answer:
        """Cancel by symbol or coin, at most 500 at a time."""
        floors = self.selected(category, params)
        names: list[Answer] = []
        for order in account.orders():
            if order.floor not in floors or len(names) >= CANCEL_ALL_MAX:
                continue
            try:
                self.exchange.cancel(account, order, now_ns)
            except Refusal:
                continue  # it filled on the way here: it is not open, which is what was asked
            names.append(_named(self.by_floor[order.floor], order))
        return {"list": names, "success": "1"}

    def selected(self, category: str, params: Params) -> set[Floor]:
        """Floors that symbol, baseCoin or settleCoin name; linear needs one of them."""
        keys = [key for key in ("symbol", "baseCoin", "settleCoin") if params.get(key)]
        if category == LINEAR and not keys:
            raise bad("Missing some parameters that must be filled in, symbol or settleCoin")
        if "symbol" in keys:
            return {self.place(category, params["symbol"]).floor}
        return {
            place.floor
            for place in self.of(category)
            if (params.get("baseCoin") or place.floor.instrument.base)
            == place.floor.instrument.base
            and (params.get("settleCoin") or place.floor.instrument.settle)
            == place.floor.instrument.settle
        }

    # -- batches

    def batch(
        self, operation: str, account: Account, params: Params, granted: int, now_ns: int
    ) -> tuple[Answer, Answer]:
        """``result`` and ``retExtInfo``, parallel lists; what is not granted fails with 10006."""
        category, items = self.items(params)
        act = getattr(self, operation)
        rows, verdicts = [], []
        for at, item in enumerate(items):
            blank = _blank(category, item)
            try:
                if at >= granted:
                    raise too_often()
                if not isinstance(item, dict):
                    raise bad("request item is not an object")
                named = act(account, category, item, now_ns)
            except Fault as fault:
                rows.append(blank)
                verdicts.append({"code": fault.code, "msg": fault.text})
            else:
                rows.append({"category": category, "symbol": item["symbol"], **named})
                verdicts.append({"code": 0, "msg": "OK"})
        if operation == "create":
            made = str(now_ns // NS_PER_MS)
            for row in rows:
                row["createAt"] = made if row["orderId"] else ""
        return {"list": rows}, {"list": verdicts}

    def items(self, params: Params) -> tuple[str, list[Any]]:
        """Category and items of a batch; 10001 for none, or for more than the venue takes."""
        category = self.category(params)
        items = params.get("request")
        if not isinstance(items, list) or not items:
            raise bad("request is empty")
        if len(items) > BATCH_MAX[category]:
            raise bad(f"batch size exceeds the limit of {BATCH_MAX[category]}")
        return category, items

    # -- figures

    @staticmethod
    def _tick(place: Place, price: object) -> int:
        value = number(price, "Price")
        ticks = value / Fraction(place.floor.instrument.tick)
        if ticks.denominator != 1 or ticks < 1:
            raise refused(Refusal(RefusalKind.TICK, "off the grid"), place.category)
        if ticks > PRICE_TICKS_MAX:
            raise refused(Refusal(RefusalKind.PRICE_BAND, "beyond maxPrice"), place.category)
        return ticks.numerator

    @staticmethod
    def _qty(place: Place, qty: object) -> int:
        units = number(qty, "Qty") * place.floor.instrument.qty_per_one
        if units.denominator != 1:
            raise refused(Refusal(RefusalKind.LOT, "too fine"), place.category)
        if units > place.floor.instrument.to_qty(place.floor.instrument.max_qty):
            raise refused(Refusal(RefusalKind.MAX_QTY, "too much"), place.category)
        return units.numerator

    @staticmethod
    def _bought(place: Place, money: Fraction, side: int) -> int:
        """Units that an amount of quote currency trades for against the present book."""
        item = place.floor.instrument
        units = Fraction(0)
        for tick, qty in place.floor.top(-side, WALK_LEVELS):
            worth = Fraction(item.tick) * tick * qty / item.qty_per_one
            if worth >= money:
                units += qty * money / worth
                break
            units += qty
            money -= worth
        lots = int(units) // item.lot_qty
        return lots * item.lot_qty


def _by_quote(params: Params) -> bool:
    """Whether a spot market order's quantity is in quote coin: buys, unless they say otherwise."""
    unit = params.get("marketUnit") or ""
    if not isinstance(unit, str) or unit not in MARKET_UNITS:
        raise bad("marketUnit invalid")
    return unit == "quoteCoin" or (not unit and params.get("side") == "Buy")


def _check_modes(account: Account, params: Params) -> None:
    index = params.get("positionIdx", 0)
    smp = params.get("smpType") or "None"
    if not isinstance(index, int) or isinstance(index, bool):
        raise bad("positionIdx invalid")
    if index != 0 or account.hedge_mode:
        # The box keeps one position a symbol: with hedge mode on, no index fits.
        raise Fault(10001, "position idx not match position mode")
    if not isinstance(smp, str) or smp not in SMP_TYPES:
        raise bad("smpType invalid")


def _extra(params: Params, tif: str) -> dict[str, Any]:
    return {
        "timeInForce": tif,
        "smpType": params.get("smpType") or "None",
        "marketUnit": params.get("marketUnit") or "",
    }


def _named(place: Place, order: Order) -> Answer:
    return {"orderId": order_id(place.category, order.id), "orderLinkId": order.client_id}


def _blank(category: str, item: object) -> Answer:
    """What a failed item of a batch says of itself."""
    given = item if isinstance(item, dict) else {}
    symbol, link = given.get("symbol"), given.get("orderLinkId")
    return {
        "category": category,
        "symbol": symbol if isinstance(symbol, str) else "",
        "orderId": "",
        "orderLinkId": link if isinstance(link, str) else "",
    }


__all__ = ["BATCH_MAX", "Answer", "Desk", "Params", "Place"]
