"""What an account on Binance is and has, over REST: set-up before trading, and the truth after.

One class for each product.  Set-up refuses, with a sentence, whatever would keep trading from
working; a setting that is already so is success.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from mmcore.errors import VenueError
from mmcore.gateway import AccountState, Action, Balance, ClientIds, VenueFault, VenueOrder
from mmcore.instrument import (
    QUANTA_PER_ONE,
    Instrument,
    UnknownInstrument,
    find,
    from_binance,
    with_fees,
)

from ._binance_faults import MODE_IN_USE
from ._binance_requests import WEIGHT
from ._binance_rest import Rest, symbols_text
from ._binance_words import (
    OrderNews,
    open_order,
    order_answer,
    quanta,
    signed_qty,
    trade_answer,
)
from ._decode import Terms
from ._own import VenueFill

TRADES_PAGE = 1000
UNKNOWN_SYMBOL = -1121
BPS = 10_000


P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound="Account")


class Payment(NamedTuple):
    """Funding received (negative: paid), quanta; ``number`` is unique with the symbol."""

    symbol: str
    number: int
    time_ms: int
    quanta: int


def reading(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, T]]:
    """An answer that is not as published is a VenueError that says so."""

    @wraps(method)
    async def read(self: A, /, *args: P.args, **words: P.kwargs) -> T:
        try:
            return await method(self, *args, **words)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VenueError(
                f"an answer is not as Binance documents it ({type(error).__name__}: {error})",
                where=f"{self.venue} {method.__name__}",
            ) from error

    return read


class Account:
    """What the two products have in common."""

    venue: str
    trades_path: str
    trades_weight: int
    open_orders_weight: int

    def __init__(self, rest: Rest, ids: ClientIds | None) -> None:
        self.rest = rest
        self._ids = ids

    @reading
    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        """The instruments of these symbols, and the venue's rate limits into the budget."""
        answer = await self._exchange_info(symbols)
        self.rest.limits(answer.get("rateLimits"))
        try:
            listed = from_binance(self.venue, answer)
            items = tuple(find(self.venue, symbol, listed) for symbol in symbols)
        except UnknownInstrument as error:
            raise VenueError(
                f"Binance does not list {error.symbol!r}"
                + (f"; the nearest name is {error.nearest!r}" if error.nearest else ""),
                where=self.venue, todo="correct the symbol in the configuration",
            ) from None  # fmt: skip
        states = {entry["symbol"]: entry.get("status") for entry in answer["symbols"]}
        for item in items:
            if states[item.symbol] != "TRADING":
                raise VenueError(
                    f"{item.symbol} is not traded at present (status {states[item.symbol]})",
                    where=self.venue, todo="choose another symbol, or come back later",
                )  # fmt: skip
        return items

    async def _exchange_info(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        raise NotImplementedError

    async def set_up(
        self, items: tuple[Instrument, ...], leverage: Sequence[int | None]
    ) -> tuple[tuple[Instrument, ...], list[str]]:
        """Permissions, modes, leverage: the instruments with the account's fees, and notices."""
        raise NotImplementedError

    async def state(self, terms: Sequence[Terms]) -> AccountState:
        """Orders, positions and balances, now."""
        raise NotImplementedError

    @reading
    async def open_orders(self, terms: Terms, *, urgent: bool = False) -> list[VenueOrder]:
        """Every open order of one instrument, others' too.  urgent: see `Rest.read`."""
        answer = await self.rest.read(
            "openOrders", weight=self.open_orders_weight, signed=True, urgent=urgent,
            symbol=terms.item.symbol,
        )  # fmt: skip
        return [open_order(terms, order, self._ids) for order in answer]

    @reading
    async def order(self, terms: Terms, client_id: str) -> OrderNews:
        """One order by our id; VenueFault -2013 where the venue has no such order."""
        answer = await self.rest.read(
            "order", weight=1 if self.rest.futures else 4, signed=True,
            symbol=terms.item.symbol, origClientOrderId=client_id,
        )  # fmt: skip
        return order_answer(terms, answer)

    @reading
    async def fills_after(self, terms: Terms, trade_id: int) -> list[VenueFill]:
        """All fills of one instrument above a trade id, oldest first."""
        fills: list[VenueFill] = []
        while True:
            answer = await self.rest.read(
                self.trades_path, weight=self.trades_weight, signed=True,
                symbol=terms.item.symbol, fromId=str(trade_id + 1), limit=str(TRADES_PAGE),
            )  # fmt: skip
            page = [trade_answer(terms, trade) for trade in answer]
            fills += page
            if len(page) < TRADES_PAGE:
                return fills
            trade_id = max(fill.trade_id for fill in page)

    @reading
    async def newest_trade(self, terms: Terms) -> int:
        """The id of the account's latest fill of one instrument, -1 where it has none."""
        answer = await self.rest.read(
            self.trades_path, weight=self.trades_weight, signed=True, symbol=terms.item.symbol,
            limit="1",
        )  # fmt: skip
        return max((trade_answer(terms, trade).trade_id for trade in answer), default=-1)

    def _may_trade(self, answer: Mapping[str, Any]) -> None:
        if answer.get("canTrade") is False:
            raise VenueError(
                "this key or account may read but not trade", where=self.venue,
                todo="allow trading for the key in Binance's API management",
            )  # fmt: skip


class FuturesAccount(Account):
    """USD-M: one-way mode, cross margin."""

    venue = "binance-usdm"
    trades_path = "userTrades"
    trades_weight = 5
    open_orders_weight = 1

    async def _exchange_info(self, symbols: Sequence[str]) -> Mapping[str, Any]:  # noqa: ARG002
        answer: Mapping[str, Any] = await self.rest.read("exchangeInfo")
        return answer

    @reading
    async def set_up(
        self, items: tuple[Instrument, ...], leverage: Sequence[int | None]
    ) -> tuple[tuple[Instrument, ...], list[str]]:
        """See `Account.set_up`."""
        answer = await self.rest.read("account", weight=5, signed=True, version=2)
        self._may_trade(answer)
        notices = []
        if answer.get("multiAssetsMargin") is True:
            notices.append(
                "binance-usdm: the account is in multi-assets mode: other assets back the margin, "
                "and mmcore counts the settle asset alone"
            )
        await self._one_way()
        priced = []
        for item, wanted in zip(items, leverage, strict=True):
            await self._cross(item)
            if wanted is not None:
                await self._leverage(item, wanted)
            priced.append(await self._with_fees(item))
        return tuple(priced), notices

    async def _one_way(self) -> None:
        mode = await self.rest.read("positionSide/dual", weight=30, signed=True)
        if mode.get("dualSidePosition") is not True:
            return
        try:
            await self._set("positionSide/dual", dualSidePosition="false")
        except VenueFault as fault:
            if fault.code not in MODE_IN_USE:
                raise
            raise VenueError(
                "the account is in hedge mode, and cannot leave it while it has open orders or "
                "positions",
                where=self.venue, done="mmcore needs one-way mode and changed nothing",
                todo="close the positions and cancel the orders, or use another account",
            ) from None  # fmt: skip

    async def _cross(self, item: Instrument) -> None:
        try:
            await self._set("marginType", symbol=item.symbol, marginType="CROSSED")
        except VenueFault as fault:
            raise VenueError(
                f"{item.symbol} cannot be set to cross margin: {fault.what}", where=self.venue,
                todo="close its position and orders, or set cross margin on Binance's own page",
            ) from None  # fmt: skip

    async def _leverage(self, item: Instrument, wanted: int) -> None:
        try:
            await self._set("leverage", symbol=item.symbol, leverage=str(wanted))
        except VenueFault as fault:
            raise VenueError(
                f"leverage {wanted} of {item.symbol} was refused: {fault.what}", where=self.venue,
                todo="choose a leverage that the symbol and the account allow",
            ) from None  # fmt: skip

    async def _set(self, path: str, **data: str) -> None:
        """Change a setting; that it is already so is success, and keys are another matter."""
        try:
            await self.rest.send("post", path, {WEIGHT: 1}, data=data)
        except VenueFault as fault:
            if fault.action is not Action.OK:
                raise

    async def _with_fees(self, item: Instrument) -> Instrument:
        answer = await self.rest.read("commissionRate", weight=20, signed=True, symbol=item.symbol)
        return _priced(item, answer["makerCommissionRate"], answer["takerCommissionRate"])

    @reading
    async def state(self, terms: Sequence[Terms]) -> AccountState:
        """See `Account.state`; the wallet without open profit."""
        orders = [order for one in terms for order in await self.open_orders(one)]
        by_symbol = {one.item.symbol: one for one in terms}
        positions = {one.number: 0 for one in terms}
        for entry in await self.rest.read("positionRisk", weight=5, signed=True, version=3):
            ours = by_symbol.get(entry["symbol"])
            if ours is not None:
                positions[ours.number] += signed_qty(ours, entry["positionAmt"])
        balances = {
            entry["asset"]: Balance(quanta(entry["balance"]), quanta(entry["availableBalance"]))
            for entry in await self.rest.read("balance", weight=5, signed=True, version=3)
        }
        return AccountState(orders=tuple(orders), positions=positions, balances=balances)

    @reading
    async def funding(self, since_ms: int) -> list[Payment]:
        """Funding payments since then, oldest first."""
        answer = await self.rest.read(
            "income", weight=30, signed=True, incomeType="FUNDING_FEE", startTime=str(since_ms),
            limit=str(TRADES_PAGE),
        )  # fmt: skip
        return [
            Payment(str(p["symbol"]), int(p["tranId"]), int(p["time"]), quanta(p["income"]))
            for p in answer
        ]


class SpotAccount(Account):
    """Spot: balances instead of positions."""

    venue = "binance-spot"
    trades_path = "myTrades"
    trades_weight = 20
    open_orders_weight = 6

    async def _exchange_info(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        answer: Mapping[str, Any]
        try:
            answer = await self.rest.read(
                "exchangeInfo", weight=20, symbols=symbols_text(tuple(symbols))
            )
        except VenueFault as fault:
            if fault.code != UNKNOWN_SYMBOL:
                raise
            answer = await self.rest.read("exchangeInfo", weight=20)  # it names the nearest
        return answer

    @reading
    async def set_up(
        self, items: tuple[Instrument, ...], leverage: Sequence[int | None]
    ) -> tuple[tuple[Instrument, ...], list[str]]:
        """See `Account.set_up`."""
        if any(wanted not in {None, 1} for wanted in leverage):
            raise VenueError("spot has no leverage", where=self.venue, todo="leave it out")
        self._may_trade(await self.rest.read("account", weight=20, signed=True))
        notices: list[str] = []
        priced = []
        for item in items:
            answer = await self.rest.read(
                "account/commission", weight=20, signed=True, symbol=item.symbol
            )
            rates, discount = answer["standardCommission"], answer.get("discount") or {}
            priced.append(_priced(item, rates["maker"], rates["taker"]))
            if discount.get("enabledForAccount") and discount.get("enabledForSymbol"):
                notices.append(
                    f"{item}: fees are paid in {discount.get('discountAsset')} while any is there, "
                    "and those are left out of the result; switch it off on Binance to have them in"
                )
        return tuple(priced), notices

    @reading
    async def state(self, terms: Sequence[Terms]) -> AccountState:
        """See `Account.state`; a position is the base balance."""
        orders = [order for one in terms for order in await self.open_orders(one)]
        answer = await self.rest.read("account", weight=20, signed=True)
        balances = {}
        for entry in answer["balances"]:
            free = quanta(entry["free"])
            balances[entry["asset"]] = Balance(free + quanta(entry["locked"]), free)
        nothing = Balance(0, 0)
        positions = {
            one.number: balances.get(one.item.base, nothing).total
            * one.item.qty_per_one
            // QUANTA_PER_ONE
            for one in terms
        }
        return AccountState(orders=tuple(orders), positions=positions, balances=balances)


def _priced(item: Instrument, maker: str, taker: str) -> Instrument:
    return with_fees(item, float(maker) * BPS, float(taker) * BPS)


__all__ = ["Account", "FuturesAccount", "SpotAccount"]
