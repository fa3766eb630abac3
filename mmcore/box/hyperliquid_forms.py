"""How Hyperliquid writes numbers, orders, fills and accounts, and what it says in refusal.

Numbers are decimal strings with at least one decimal and no superfluous zeros ("50000.0").
Coins are numbered by their place in the venue's ``universe``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from mmcore.events import TimeInForce

from .accounts import Account, Payment, Position, Wallet
from .floor import Floor
from .orders import Ending, Fill, Order, RefusalKind, Status, Trade

MS = 1_000_000
QUANTA_DECIMALS = 8
NO_ADDRESS = "0x" + "0" * 40  # who stands behind the market's own orders
DECIMAL = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)
DIGITS_MAX = 18
CLOID_DIGITS = 32
CLOID = re.compile(r"0x[0-9a-fA-F]{32}")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

SIDES = {1: "B", -1: "A"}
TIFS = {
    "Alo": TimeInForce.GTX,
    "Gtc": TimeInForce.GTC,
    "Ioc": TimeInForce.IOC,
    "FrontendMarket": TimeInForce.IOC,
}
MISSING = "Order was never placed, already canceled, or filled."
REFUSED: Mapping[RefusalKind, str] = {
    RefusalKind.TICK: "Price must be divisible by tick size.",
    RefusalKind.LOT: "Order has invalid size.",
    RefusalKind.MIN_QTY: "Order has invalid size.",
    RefusalKind.MAX_QTY: "Order has invalid size.",
    RefusalKind.NOTIONAL: "Order must have minimum value of $10.",
    RefusalKind.PRICE_BAND: "Order price cannot be more than 80% away from the reference price.",
    RefusalKind.MARGIN: "Insufficient margin to place order.",
    RefusalKind.BALANCE: "Insufficient margin to place order.",
    RefusalKind.REDUCE_ONLY: "Reduce only order would increase position.",
    RefusalKind.NO_LIQUIDITY: "Order could not immediately match against any resting orders.",
    RefusalKind.UNKNOWN_ORDER: MISSING,
    RefusalKind.ALREADY_DONE: MISSING,
    RefusalKind.TOO_MANY_ORDERS: "Too many open orders.",
    RefusalKind.LEVERAGE: "Invalid leverage value.",
    RefusalKind.POSITION_MODE: "Cannot switch leverage type with open position.",
}
ZERO_SIZE = "Order has zero size."
ENDINGS: Mapping[Ending, str] = {
    Ending.POST_ONLY: "badAloPxRejected",
    Ending.REDUCE_ONLY: "reduceOnlyCanceled",
    Ending.SELF_TRADE: "selfTradeCanceled",
    Ending.LIQUIDATION: "liquidatedCanceled",
    Ending.COUNTDOWN: "scheduledCancel",
    Ending.MARGIN: "marginCanceled",
}


class Malformed(ValueError):
    """A request that does not have the venue's form."""


def decimal_text(scaled: int, decimals: int) -> str:
    """``scaled`` / 10^decimals as the venue writes it."""
    digits = str(abs(scaled)).rjust(decimals + 1, "0")
    whole, rest = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    return f"{'-' if scaled < 0 else ''}{whole}.{rest.rstrip('0') or '0'}"


def money(quanta: int) -> str:
    """An amount in quanta (1e-8)."""
    return decimal_text(quanta, QUANTA_DECIMALS)


def rounded(value: Decimal, decimals: int) -> str:
    """A decimal that need not end, cut after so many decimals."""
    return decimal_text(int(value.scaleb(decimals)), decimals)


def price(floor: Floor, tick: int) -> str:
    """The price of a tick."""
    _, decimals, mul, _, _ = floor.instrument.scale()
    return decimal_text(tick * mul, decimals)


def quanta(floor: Floor, tick: int) -> int:
    """The price of a tick in quanta of the quote currency."""
    _, decimals, mul, _, _ = floor.instrument.scale()
    return int(tick * mul * 10 ** (QUANTA_DECIMALS - decimals))


def size(floor: Floor, qty: int) -> str:
    """A quantity of so many units."""
    return decimal_text(qty, floor.instrument.qty_decimals)


def mark_price(floor: Floor, quanta: int) -> str:
    """A price between ticks, one decimal finer than they are."""
    return rounded(Decimal(quanta).scaleb(-QUANTA_DECIMALS), floor.instrument.price_decimals + 1)


def scaled(text: object, decimals: int) -> int | None:
    """A decimal string times 10^decimals; None where it is finer.  Raises Malformed."""
    match = DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Malformed(f"{text!r} is not a decimal string")
    whole, rest = match[1], match[2] or ""
    if len(whole) + decimals > DIGITS_MAX:
        raise Malformed(f"{text!r} has too many digits")
    if rest[decimals:].strip("0"):
        return None
    return int(whole + rest[:decimals].ljust(decimals, "0"))


def integer(value: object) -> int:
    """A whole number that fits 64 bits.  Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise Malformed(f"{value!r} is not a whole number")
    return value


def address(value: object) -> str:
    """An address, lower-case.  Raises Malformed."""
    if not isinstance(value, str) or ADDRESS.fullmatch(value) is None:
        raise Malformed(f"{value!r} is not an address")
    return value.lower()


def cloid(value: object) -> str:
    """A client id of 32 hex digits, without its 0x.  Raises Malformed."""
    if not isinstance(value, str) or CLOID.fullmatch(value) is None:
        raise Malformed(f"{value!r} is not a client order id")
    return value[2:].lower()


def level(floor: Floor, tick: int, qty: int) -> dict[str, Any]:
    """One level of a book; the box does not count the orders in it."""
    return {"px": price(floor, tick), "sz": size(floor, qty), "n": 1}


def best(floor: Floor, side: int) -> dict[str, Any] | None:
    """The best level of a side, None where it is empty."""
    found = floor.best(side)
    return None if found is None else level(floor, *found)


def refusal(kind: RefusalKind, floor: Floor, asset: int) -> str:
    """What the venue says to an order it refuses."""
    text = REFUSED.get(kind, "Order rejected.")
    if kind is RefusalKind.POST_ONLY:
        bid, ask = (best(floor, side) or {"px": "0.0"} for side in (1, -1))
        text = f"Post only order would have immediately matched, bbo was {bid['px']}@{ask['px']}."
    return f"{text} asset={asset}"


def status_word(order: Order) -> str:
    """The word of an order's state."""
    if order.open:
        return "open"
    if order.status is Status.FILLED:
        return "filled"
    if order.ending is Ending.NO_LIQUIDITY and not order.filled:
        return "iocCancelRejected"
    if order.status is Status.REJECTED and order.ending is not Ending.POST_ONLY:
        return "rejected"
    return ENDINGS.get(order.ending, "canceled")


def basic_order(order: Order, ms: int) -> dict[str, Any]:
    """An order as ``openOrders`` and ``orderUpdates`` show it.  ms: when it was placed."""
    shown = {
        "coin": order.floor.symbol,
        "side": SIDES[order.side],
        "limitPx": price(order.floor, order.tick),
        "sz": size(order.floor, order.left),
        "oid": order.id,
        "timestamp": ms,
        "origSz": size(order.floor, order.qty),
    }
    if name := shown_cloid(order):
        shown["cloid"] = name
    return shown


def shown_cloid(order: Order) -> str | None:
    """An order's client id as it was given; None for none, and for the venue's own orders."""
    return f"0x{order.client_id}" if len(order.client_id) == CLOID_DIGITS else None


def full_order(order: Order, ms: int) -> dict[str, Any]:
    """An order as the front end, ``orderStatus`` and ``historicalOrders`` show it."""
    return basic_order(order, ms) | {
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": order.reduce_only,
        "orderType": "Limit",
        "tif": order.extra.get("tif", "Gtc"),
        "cloid": shown_cloid(order),
    }


def fill(done: Fill, ms: int) -> dict[str, Any]:
    """A fill as ``userFills`` and its stream show it."""
    order = done.order
    start = done.position_after - order.side * done.qty
    shown: dict[str, Any] = {
        "coin": order.floor.symbol,
        "px": price(order.floor, done.tick),
        "sz": size(order.floor, done.qty),
        "side": SIDES[order.side],
        "time": ms,
        "startPosition": size(order.floor, start),
        "dir": direction(start, done.position_after),
        "closedPnl": money(done.realised),
        "hash": f"0x{order.floor.index:08x}{done.trade_id:056x}",
        "oid": order.id,
        "crossed": not done.maker,
        "fee": money(done.fee),
        "tid": done.trade_id,
        "feeToken": done.fee_asset,
        "twapId": None,
    }
    if name := shown_cloid(order):
        shown["cloid"] = name
    return shown


def direction(before: int, after: int) -> str:
    """What a fill did to a position."""
    if before > 0 > after:
        return "Long > Short"
    if before < 0 < after:
        return "Short > Long"
    held = before or after
    verb = "Open" if abs(after) > abs(before) else "Close"
    return f"{verb} {'Long' if held > 0 else 'Short'}"


def trade(floor: Floor, done: Trade, ms: int, users: list[str]) -> dict[str, Any]:
    """A public print; users: buyer and seller."""
    return {
        "coin": floor.symbol,
        "side": SIDES[done.side],
        "px": price(floor, done.tick),
        "sz": size(floor, done.qty),
        "time": ms,
        "hash": f"0x{floor.index:08x}{done.id:056x}",
        "tid": done.id,
        "users": users,
    }


def funding(payment: Payment, ms: int) -> dict[str, Any]:
    """A funding payment as the streams show it; the history wraps it."""
    return {
        "time": ms,
        "coin": payment.floor.symbol,
        "usdc": money(payment.quanta),
        "szi": size(payment.floor, payment.qty),
        "fundingRate": decimal_text(payment.rate, 12),
        "nSamples": None,
    }


def context(floor: Floor, interest: int) -> dict[str, Any]:
    """Prices, funding and volume of a coin.  interest: units open, of either side."""
    mark = floor.mark
    bid, ask = floor.best(1), floor.best(-1)
    first, last = (floor.trades[0], floor.trades[-1]) if floor.trades else (None, None)
    volume = sum(floor.notional(done.tick, done.qty) for done in floor.trades)
    middle = None
    if bid and ask:
        _, decimals, mul, _, _ = floor.instrument.scale()
        middle = decimal_text((bid[0] + ask[0]) * mul * 5, decimals + 1)
    sides = (bid, ask)
    return {
        "funding": decimal_text(floor.funding_rate, 12),
        "openInterest": size(floor, interest),
        "prevDayPx": price(floor, first.tick) if first else mark_price(floor, mark),
        "dayNtlVlm": money(volume),
        "premium": "0.0",
        "oraclePx": mark_price(floor, floor.index_price),
        "markPx": mark_price(floor, mark),
        "midPx": middle,
        "impactPxs": [price(floor, side[0]) for side in sides if side] if bid and ask else None,
        "dayBaseVlm": size(floor, sum(done.qty for done in floor.trades)) if last else "0.0",
    }


def position(held: Position, account: Account, paid: int) -> dict[str, Any]:
    """One position.  paid: quanta of funding that it paid."""
    floor = held.floor
    value, profit, used = held.notional, held.unrealised, held.initial_margin
    limit = held.liquidation_price(account.wallet(floor))
    share = Decimal(profit) / Decimal(used) if used else Decimal(0)
    leverage: dict[str, Any] = {"type": held.margin_mode, "value": held.leverage}
    if held.margin_mode == "isolated":
        leverage["rawUsd"] = money(used - value)
    return {
        "type": "oneWay",
        "position": {
            "coin": floor.symbol,
            "szi": size(floor, held.qty),
            "leverage": leverage,
            "entryPx": rounded(held.entry, floor.instrument.price_decimals + 5),
            "positionValue": money(abs(value)),
            "unrealizedPnl": money(profit),
            "returnOnEquity": rounded(share, QUANTA_DECIMALS),
            "liquidationPx": rounded(limit, QUANTA_DECIMALS) if limit else None,
            "marginUsed": money(used),
            "maxLeverage": max_leverage(floor),
            "cumFunding": dict.fromkeys(("allTime", "sinceOpen", "sinceChange"), money(paid)),
        },
    }


def max_leverage(floor: Floor) -> int:
    """As ``meta`` says."""
    return {"BTC": 40, "ETH": 25}.get(floor.symbol, 20)


def clearinghouse(account: Account | None, ms: int, told: Wallet | None = None) -> dict[str, Any]:
    """Margin and positions of an account; of nobody's, empty.  told: the wallet, if told late."""
    if account is None:
        empty = dict.fromkeys(("accountValue", "totalNtlPos", "totalRawUsd", "totalMarginUsed"))
        summary: dict[str, Any] = dict.fromkeys(empty, "0.0")
        positions, free, kept = [], "0.0", "0.0"
    else:
        held = [each for each in account.positions.values() if each.qty]
        wallet = told or account.wallets["perp"]
        balance = wallet.balances.get("USDC", 0)
        equity = balance + sum(each.unrealised for each in held)
        summary = {
            "accountValue": money(equity),
            "totalNtlPos": money(sum(abs(each.notional) for each in held)),
            "totalRawUsd": money(equity - sum(each.notional for each in held)),
            "totalMarginUsed": money(sum(each.initial_margin for each in held)),
        }
        paid: dict[Floor, int] = {}
        for payment in account.payments:
            paid[payment.floor] = paid.get(payment.floor, 0) - payment.quanta
        positions = [position(each, account, paid.get(each.floor, 0)) for each in held]
        free = money(wallet.available("USDC"))
        kept = money(sum(each.maintenance_margin for each in held))
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": kept,
        "withdrawable": free,
        "assetPositions": positions,
        "time": ms,
    }
