"""What Bybit says of an order, an execution, a position, a wallet: REST and private streams."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mmcore.events import TimeInForce
from mmcore.instrument import QUANTA_PER_ONE

from .accounts import Account, Payment, Position, Wallet
from .bybit_codes import ENDINGS, LINEAR
from .bybit_words import (
    NS_PER_MS,
    SIDE_NAMES,
    TIF_NAMES,
    Listing,
    decimal,
    exec_id,
    money,
    order_id,
    ratio,
)
from .floor import Floor
from .orders import Ending, Fill, Order, Status

RATE_DECIMALS = 8
FUNDING_DECIMALS = 12
STATUS_NAMES = {
    Status.NEW: "New",
    Status.PARTIAL: "PartiallyFilled",
    Status.FILLED: "Filled",
    Status.CANCELED: "Cancelled",
    Status.EXPIRED: "Cancelled",
}

Message = dict[str, Any]

# Fields of an order that belong to kinds of order which the box does not have.
UNUSED = dict.fromkeys(
    (
        "blockTradeId", "stopOrderType", "orderIv", "triggerPrice", "takeProfit", "stopLoss",
        "tpTriggerBy", "slTriggerBy", "tpLimitPrice", "slLimitPrice", "triggerBy", "placeType",
        "smpOrderId", "feeCurrency",
    ),
    "",
)  # fmt: skip


def stamp(ts_ns: int) -> str:
    """A time as ms in digits."""
    return str(ts_ns // NS_PER_MS)


def status(order: Order, rejected: str) -> str:
    """``orderStatus``.  rejected: what an order that was accepted and then refused is called."""
    if order.status is Status.REJECTED:
        return rejected
    name = STATUS_NAMES[order.status]
    spot_partly = order.floor.spot and order.filled and name == "Cancelled"
    return "PartiallyFilledCanceled" if spot_partly else name


def ending(order: Order) -> tuple[str, str]:
    """``cancelType`` and ``rejectReason``."""
    if order.ending is Ending.NO_LIQUIDITY and order.tif == TimeInForce.FOK:
        return "UNKNOWN", "EC_CancelForNoFullFill"
    return ENDINGS[order.ending.name]


def order_message(order: Order, listed: Listing, rejected: str, shift_ns: int = 0) -> Message:
    """An order as ``/v5/order/realtime`` and the order topic have it.

    Contracts carry ``tpslMode`` and spot orders do not: clients tell them apart by it.  Here as
    below, shift_ns: how far the clock that the venue shows stands from the one of the exchange.
    """
    cancel_type, reason = ending(order)
    left = order.left if order.open else 0
    unit = order.extra.get("marketUnit", "")
    message: Message = {
        **UNUSED,
        "category": listed.category,
        "symbol": listed.symbol,
        "orderId": order_id(listed.category, order.id),
        "orderLinkId": order.client_id,
        "side": SIDE_NAMES[order.side],
        "positionIdx": 0,
        "orderStatus": status(order, rejected),
        "createType": "CreateByUser",
        "cancelType": cancel_type,
        "rejectReason": reason,
        "timeInForce": order.extra.get("timeInForce", TIF_NAMES[order.tif]),
        "isLeverage": "0" if order.floor.spot else "",
        "price": "0" if order.market else listed.price(order.tick),
        "qty": order.extra.get("quoteQty") or listed.qty(order.qty),
        "avgPrice": listed.average(order.value, order.filled) if order.filled else "",
        "leavesQty": listed.qty(left),
        "leavesValue": money(order.floor.notional(order.tick, left)) if left else "0",
        "cumExecQty": listed.qty(order.filled),
        "cumExecValue": money(order.value),
        "cumExecFee": money(sum(order.fees.values())),
        "cumFeeDetail": {coin: money(quanta) for coin, quanta in order.fees.items()},
        "closedPnl": money(sum(fill.realised for fill in order.fills)),
        "orderType": "Market" if order.market else "Limit",
        "marketUnit": unit,
        "triggerDirection": 0,
        "lastPriceOnCreated": order.extra.get("lastPrice", ""),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": False,
        "smpType": order.extra.get("smpType", "None"),
        "smpGroup": 0,
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "createdTime": stamp(order.created_ns + shift_ns),
        "updatedTime": stamp(order.updated_ns + shift_ns),
    }
    if listed.category == LINEAR:
        message["tpslMode"] = ""
    return message


def _left_after(fill: Fill) -> int:
    done = 0
    for one in fill.order.fills:
        done += one.qty
        if one.trade_id == fill.trade_id:
            break
    return fill.order.qty - done


def _closed(fill: Fill) -> int:
    """Units of a fill that made an opposite position smaller."""
    before = fill.position_after - fill.order.side * fill.qty
    return min(fill.qty, abs(before)) if before * fill.order.side < 0 else 0


def execution(fill: Fill, listed: Listing, seq: int, shift_ns: int = 0) -> Message:
    """A fill as ``/v5/execution/list`` and the execution topic have it."""
    order = fill.order
    contract = listed.category == LINEAR
    maker, taker = order.account.fee_rates[order.floor]
    return {
        "category": listed.category,
        "symbol": listed.symbol,
        "closedSize": listed.qty(_closed(fill)) if contract else "",
        "execFee": money(fill.fee),
        "execId": exec_id(listed.category, order.floor.index, fill.trade_id),
        "execPrice": listed.price(fill.tick),
        "execQty": listed.qty(fill.qty),
        "execType": "Trade",
        "execValue": money(fill.value),
        "feeRate": decimal(maker if fill.maker else taker, RATE_DECIMALS),
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": price_text(order.floor.mark, listed) if contract else "",
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": listed.qty(_left_after(fill)),
        "orderId": order_id(listed.category, order.id),
        "orderLinkId": order.client_id,
        "orderPrice": "0" if order.market else listed.price(order.tick),
        "orderQty": listed.qty(order.qty),
        "orderType": "Market" if order.market else "Limit",
        "stopOrderType": "UNKNOWN" if contract else "",
        "side": SIDE_NAMES[order.side],
        "execTime": stamp(fill.ts_ns + shift_ns),
        "isLeverage": "0",
        "isMaker": fill.maker,
        "seq": seq,
        "marketUnit": order.extra.get("marketUnit", ""),
        "execPnl": money(fill.realised) if contract else "0",
        "createType": "CreateByUser",
        "extraFees": [],
        "feeCurrency": fill.fee_asset,
    }


def execution_fast(fill: Fill, listed: Listing, seq: int, shift_ns: int = 0) -> Message:
    """The short form of the fast topic: a maker's own id is left out, as Bybit does."""
    order = fill.order
    return {
        "category": listed.category,
        "symbol": listed.symbol,
        "execId": exec_id(listed.category, order.floor.index, fill.trade_id),
        "execPrice": listed.price(fill.tick),
        "execQty": listed.qty(fill.qty),
        "orderId": order_id(listed.category, order.id),
        "isMaker": fill.maker,
        "orderLinkId": "" if fill.maker else order.client_id,
        "side": SIDE_NAMES[order.side],
        "execTime": stamp(fill.ts_ns + shift_ns),
        "seq": seq,
    }


def funding(payment: Payment, listed: Listing, seq: int, shift_ns: int = 0) -> Message:
    """A funding payment as an execution: a positive fee was paid."""
    units = abs(payment.qty)
    return {
        "category": listed.category,
        "symbol": listed.symbol,
        "closedSize": "0",
        "execFee": money(-payment.quanta),
        "execId": exec_id(listed.category, 1000 + payment.floor.index, payment.id),
        "execPrice": price_text(payment.mark, listed),
        "execQty": listed.qty(units),
        "execType": "Funding",
        "execValue": money(round(payment.floor.quanta_per_qty(units) * payment.mark / 10**8)),
        "feeRate": decimal(payment.rate, FUNDING_DECIMALS),
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": price_text(payment.mark, listed),
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": "0",
        "orderId": exec_id(listed.category, 2000 + payment.floor.index, payment.id),
        "orderLinkId": "",
        "orderPrice": "0",
        "orderQty": "0",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "side": SIDE_NAMES[1 if payment.qty > 0 else -1],
        "execTime": stamp(payment.ts_ns + shift_ns),
        "isLeverage": "0",
        "isMaker": False,
        "seq": seq,
        "marketUnit": "",
        "execPnl": "0",
        "createType": "",
        "extraFees": [],
        "feeCurrency": listed.instrument.settle,
    }


def price_text(quanta: int, listed: Listing) -> str:
    """A price in quanta, to the decimals that Bybit writes."""
    decimals = listed.price_decimals
    return decimal(round(Fraction(quanta * 10**decimals, 10**8)), decimals, strip=listed.strip)


def position_message(
    account: Account, floor: Floor, listed: Listing, seq: int, shift_ns: int = 0
) -> Message:
    """A position as the position topic has it; :func:`position_row` is REST's form."""
    held = account.position(floor)
    units = held.qty
    liquidation = held.liquidation_price(account.wallet(floor)) if units else 0
    needed, least = _margins(held)
    return {
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": listed.symbol,
        "side": SIDE_NAMES[(units > 0) - (units < 0)],
        "size": listed.qty(abs(units)),
        "entryPrice": ratio(Fraction(held.entry), 10) if units else "0",
        "leverage": str(held.leverage),
        "breakEvenPrice": "",
        "positionValue": money(abs(held.cost)),
        "positionBalance": "0",
        "markPrice": price_text(floor.mark, listed),
        "positionIM": money(needed),
        "positionIMByMp": money(needed),
        "positionMM": money(least),
        "positionMMByMp": money(least),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": money(held.unrealised) if units else "",
        "curRealisedPnl": money(held.realised),
        "cumRealisedPnl": money(held.realised),
        "sessionAvgPrice": "",
        "createdTime": stamp(held.updated_ns + shift_ns),
        "updatedTime": stamp(held.updated_ns + shift_ns),
        "tpslMode": "Full",
        "liqPrice": ratio(Fraction(liquidation), listed.price_decimals) if liquidation else "",
        "bustPrice": "",
        "category": listed.category,
        "positionStatus": "Normal",
        "adlRankIndicator": 2 if units else 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": seq if held.updated_ns else -1,
        "isReduceOnly": False,
    }


def _margins(held: Position) -> tuple[int, int]:
    """Initial and maintenance margin of what is held, without open orders."""
    return -(-abs(held.notional) // held.leverage), held.maintenance_margin


def position_row(
    account: Account, floor: Floor, listed: Listing, seq: int, shift_ns: int = 0
) -> Message:
    """A position as ``/v5/position/list`` has it."""
    row = position_message(account, floor, listed, seq, shift_ns)
    entry = row.pop("entryPrice")
    return {**row, "avgPrice": entry}


def wallet_message(wallet: Wallet, marks: Mapping[str, int]) -> Message:
    """The unified wallet.  marks: coin -> its price, quanta."""
    account = wallet.account
    figures = wallet.margin()
    settle = account.settle("unified")
    realised = sum(each.realised for floor, each in account.positions.items() if not floor.spot)
    rows, total, worth = [], 0, 0
    for coin, held in wallet.balances.items():
        own = coin == settle
        equity = held + (figures.unrealised if own else 0)
        usd = equity * marks.get(coin, 0) // QUANTA_PER_ONE
        total += usd
        worth += held * marks.get(coin, 0) // QUANTA_PER_ONE
        orders = figures.initial - figures.position_initial if own else 0
        rows.append({
            "coin": coin,
            "equity": money(equity),
            "usdValue": money(usd),
            "walletBalance": money(held),
            "availableToWithdraw": "",
            "availableToBorrow": "",
            "borrowAmount": "0",
            "accruedInterest": "0",
            "totalOrderIM": money(orders),
            "totalPositionIM": money(figures.position_initial if own else 0),
            "totalPositionMM": money(figures.maintenance if own else 0),
            "unrealisedPnl": money(figures.unrealised if own else 0),
            "cumRealisedPnl": money(realised if own else 0),
            "bonus": "0",
            "collateralSwitch": True,
            "marginCollateral": own,
            "locked": money(wallet.locked.get(coin, 0)),
            "spotHedgingQty": "0",
            "spotBorrow": "0",
        })  # fmt: skip
    equity = figures.equity or 1
    return {
        "accountType": "UNIFIED",
        "accountLTV": "",
        "accountIMRate": ratio(Fraction(figures.initial, equity), 4),
        "accountIMRateByMp": ratio(Fraction(figures.initial, equity), 4),
        "accountMMRate": ratio(Fraction(figures.maintenance, equity), 4),
        "accountMMRateByMp": ratio(Fraction(figures.maintenance, equity), 4),
        "totalEquity": money(total),
        "totalWalletBalance": money(worth),
        "totalMarginBalance": money(figures.equity),
        "totalAvailableBalance": money(wallet.available(settle)),
        "totalPerpUPL": money(figures.unrealised),
        "totalInitialMargin": money(figures.initial),
        "totalInitialMarginByMp": money(figures.initial),
        "totalMaintenanceMargin": money(figures.maintenance),
        "totalMaintenanceMarginByMp": money(figures.maintenance),
        "coin": rows,
    }


__all__ = [
    "execution",
    "execution_fast",
    "funding",
    "order_message",
    "position_message",
    "position_row",
    "price_text",
    "stamp",
    "status",
    "wallet_message",
]
