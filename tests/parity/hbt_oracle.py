"""The three strategies of the parity runs on hftbacktest's own interface, compiled by numba."""

from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import GTC, GTX, BacktestAsset, HashMapMarketDepthBacktest
from numba import njit

FILLS = [
    ("exch_ts", "i8"),
    ("seen_ts", "i8"),
    ("order_id", "i8"),
    ("side", "i8"),
    ("tick", "i8"),
    ("qty", "f8"),
    ("maker", "i8"),
]
IOC, LIMIT = 3, 0
NEW, EXPIRED, FILLED, CANCELED, PARTIALLY_FILLED = 1, 2, 3, 4, 5
NO_BID, NO_ASK = -(2**63), 2**63 - 1


def build(folder: Path, run: dict[str, Any], meta: dict[str, Any]) -> Any:
    """An hftbacktest of one configuration."""
    asset = (
        BacktestAsset()
        .data(str(folder / "tape.npz"))
        .initial_snapshot(str(folder / "initial_snapshot.npz"))
        .tick_size(meta["tick_size"])
        .lot_size(meta["lot_size"])
    )
    size = run["contract_size"]
    asset = asset.linear_asset(size) if run["asset"] == "linear" else asset.inverse_asset(size)
    latency = run["latency"]
    if latency["model"] == "constant":
        asset = asset.constant_order_latency(latency["entry_ns"], latency["response_ns"])
    else:
        asset = asset.intp_order_latency(str(folder / latency["file"]))
    queue = run["queue"]
    make = {
        "risk_adverse": asset.risk_adverse_queue_model,
        "power_prob": asset.power_prob_queue_model,
        "power_prob2": asset.power_prob_queue_model2,
        "power_prob3": asset.power_prob_queue_model3,
        "log_prob": asset.log_prob_queue_model,
        "log_prob2": asset.log_prob_queue_model2,
    }[queue["model"]]
    asset = make(queue["n"]) if "n" in queue else make()
    if run["exchange"] == "partial_fill":
        asset = asset.partial_fill_exchange()
    else:
        asset = asset.no_partial_fill_exchange()
    fee = run["fee"]
    charge = {
        "value": asset.trading_value_fee_model,
        "qty": asset.trading_qty_fee_model,
        "flat": asset.flat_per_trade_fee_model,
    }[fee["model"]]
    return HashMapMarketDepthBacktest([charge(fee["maker"], fee["taker"])])


@njit
def poll(hbt, live, n_live, left, position, table, stamps, n):  # type: ignore[no-untyped-def]
    orders = hbt.orders(0)
    kept = 0
    for k in range(n_live):
        order = orders.get(live[k])
        now = order.leaves_qty
        # Acknowledged modifies move what is left as well, up and down.
        status = order.status
        filled = status in (FILLED, PARTIALLY_FILLED)
        filled = filled or (status == EXPIRED and order.time_in_force == IOC)
        if filled and now < left[live[k]] - 1e-9:
            qty = left[live[k]] - now
            stamps[n, 0] = order.exch_timestamp
            stamps[n, 1] = hbt.current_timestamp
            table[n, 2] = live[k]
            table[n, 3] = order.side
            table[n, 4] = order.arr[0].exec_price_tick
            table[n, 5] = qty
            table[n, 6] = 1 if order.arr[0].maker else 0
            position += order.side * qty
            n += 1
        left[live[k]] = now
        if status not in (EXPIRED, FILLED, CANCELED):
            live[kept] = live[k]
            kept += 1
    hbt.clear_inactive_orders(0)
    return kept, position, n


@njit
def units_of(position, order_qty):  # type: ignore[no-untyped-def]
    return int(np.rint(position / order_qty))


@njit
def step_on(  # type: ignore[no-untyped-def]
    hbt, step, partial, live, n_live, left, position, table, stamps, n
):
    if not partial:
        return hbt.elapse(step), n_live, position, n
    target = hbt.current_timestamp + step
    while hbt.current_timestamp < target:
        code = hbt.wait_next_feed(True, target - hbt.current_timestamp)
        if code not in (0, 2, 3):
            return code, n_live, position, n
        n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
    return 0, n_live, position, n


@njit
def active(order):  # type: ignore[no-untyped-def]
    return order.req == 0 and order.status in (NEW, PARTIALLY_FILLED)


@njit
def fixed_offset(hbt, params, order_qty, partial, table, stamps):  # type: ignore[no-untyped-def]
    step, cap, off = params
    live, n_live = np.zeros(1024, np.int64), 0
    left, wanted = np.zeros(1_000_000), np.zeros(1_000_000, np.int64)
    position, n, last_id, code = 0.0, 0, 0, 0
    tick = hbt.depth(0).tick_size
    if partial:
        hbt.elapse(0)  # the clock has no time before the first call
    while True:
        code, n_live, position, n = step_on(
            hbt, step, partial, live, n_live, left, position, table, stamps, n
        )
        if code != 0:
            break
        n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid == NO_BID or ask == NO_ASK:
            continue
        units = units_of(position, order_qty)
        orders = hbt.orders(0)
        for side in (1, -1):
            want = bid - off if side == 1 else ask + off
            allowed = units < cap if side == 1 else units > -cap
            mine = 0
            for k in range(n_live):
                if orders.get(live[k]).side == side:
                    mine = live[k]
                    break
            if mine:
                if (not allowed or wanted[mine] != want) and active(orders.get(mine)):
                    hbt.cancel(0, mine, False)
            elif allowed:
                last_id += 1
                wanted[last_id], left[last_id] = want, order_qty
                live[n_live] = last_id
                n_live += 1
                if side == 1:
                    hbt.submit_buy_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
    n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
    return n, code


@njit
def grid5(hbt, params, order_qty, partial, table, stamps):  # type: ignore[no-untyped-def]
    step, cap, gap, levels = params
    live, n_live = np.zeros(4096, np.int64), 0
    left, wanted = np.zeros(1_000_000), np.zeros(1_000_000, np.int64)
    position, n, last_id, code, middle = 0.0, 0, 0, 0, NO_BID
    grid = np.zeros((2, levels), np.int64)
    tick = hbt.depth(0).tick_size
    if partial:
        hbt.elapse(0)  # the clock has no time before the first call
    while True:
        code, n_live, position, n = step_on(
            hbt, step, partial, live, n_live, left, position, table, stamps, n
        )
        if code != 0:
            break
        n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid == NO_BID or ask == NO_ASK:
            continue
        if bid + ask != middle:
            middle = bid + ask
            for k in range(levels):
                grid[0, k], grid[1, k] = bid - k * gap, ask + k * gap
        units = units_of(position, order_qty)
        orders = hbt.orders(0)
        for k in range(n_live):
            order = orders.get(live[k])
            row = 0 if order.side == 1 else 1
            keep = units < cap if row == 0 else units > -cap
            if keep:
                keep = False
                for j in range(levels):
                    keep = keep or grid[row, j] == wanted[live[k]]
            if not keep and active(order):
                hbt.cancel(0, live[k], False)
        for side in (1, -1):
            if not (units < cap if side == 1 else units > -cap):
                continue
            for j in range(levels):
                want = grid[0 if side == 1 else 1, j]
                there = False
                for k in range(n_live):
                    if wanted[live[k]] == want and orders.get(live[k]).side == side:
                        there = True
                if there:
                    continue
                last_id += 1
                wanted[last_id], left[last_id] = want, order_qty
                live[n_live] = last_id
                n_live += 1
                if side == 1:
                    hbt.submit_buy_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
    n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
    return n, code


@njit
def skewed(hbt, params, order_qty, partial, table, stamps):  # type: ignore[no-untyped-def]
    timeout, cap, half, skew, min_move = params
    live, n_live = np.zeros(1024, np.int64), 0
    left, wanted = np.zeros(1_000_000), np.zeros(1_000_000, np.int64)
    taker = np.zeros(1_000_000, np.bool_)
    position, n, last_id, code = 0.0, 0, 0, 0
    tick = hbt.depth(0).tick_size
    while True:
        code = hbt.wait_next_feed(True, timeout)
        if code not in (0, 2, 3):
            break
        n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid == NO_BID or ask == NO_ASK:
            continue
        units = units_of(position, order_qty)
        middle = bid + ask
        orders = hbt.orders(0)
        low = min(bid, int(np.floor((middle - half - skew * units) / 2)))
        high = max(ask, int(np.ceil((middle + half - skew * units) / 2)))
        for side in (1, -1):
            want = low if side == 1 else high
            allowed = units < cap if side == 1 else units > -cap
            mine = 0
            for k in range(n_live):
                if orders.get(live[k]).side == side and not taker[live[k]]:
                    mine = live[k]
                    break
            if mine:
                if not allowed:
                    if active(orders.get(mine)):
                        hbt.cancel(0, mine, False)
                elif abs(wanted[mine] - want) >= min_move and active(orders.get(mine)):
                    hbt.modify(0, mine, want * tick, order_qty, False)
                    wanted[mine] = want
            elif allowed:
                last_id += 1
                wanted[last_id], left[last_id] = want, order_qty
                live[n_live] = last_id
                n_live += 1
                if side == 1:
                    hbt.submit_buy_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, last_id, want * tick, order_qty, GTX, LIMIT, False)
        flying = False
        for k in range(n_live):
            flying = flying or taker[live[k]]
        if abs(units) >= cap and not flying:
            last_id += 1
            taker[last_id], left[last_id] = True, order_qty
            live[n_live] = last_id
            n_live += 1
            if units > 0:
                hbt.submit_sell_order(0, last_id, (bid - 3) * tick, order_qty, IOC, LIMIT, False)
            else:
                hbt.submit_buy_order(0, last_id, (ask + 3) * tick, order_qty, IOC, LIMIT, False)
    n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
    return n, code


@njit
def drawn(state, n):  # type: ignore[no-untyped-def]
    state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return state, int((state >> np.uint64(33)) % np.uint64(n))


@njit
def blind(hbt, params, order_qty, partial, table, stamps):  # type: ignore[no-untyped-def]
    step, state = params[0], np.uint64(params[1])
    live, n_live = np.zeros(1024, np.int64), 0
    left = np.zeros(1_000_000)
    position, n, last_id, code = 0.0, 0, 0, 0
    size = hbt.depth(0).tick_size
    while True:
        code, n_live, position, n = step_on(
            hbt, step, partial, live, n_live, left, position, table, stamps, n
        )
        if code != 0:
            break
        n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid == NO_BID or ask == NO_ASK:
            continue
        state, what = drawn(state, 10)
        state, away = drawn(state, 15)
        state, which = drawn(state, 8)
        orders = hbt.orders(0)
        if what < 5 and n_live < 8:
            last_id += 1
            left[last_id] = order_qty
            live[n_live] = last_id
            n_live += 1
            tif = GTX if what < 2 else GTC
            if which % 2:
                hbt.submit_buy_order(
                    0, last_id, (ask + 3 - away) * size, order_qty, tif, LIMIT, False
                )
            else:
                hbt.submit_sell_order(
                    0, last_id, (bid - 3 + away) * size, order_qty, tif, LIMIT, False
                )
        elif n_live:
            mine = live[which % n_live]
            order = orders.get(mine)
            if active(order) and what < 7:
                hbt.cancel(0, mine, False)
            elif active(order):
                tick = ask + 3 - away if order.side == 1 else bid - 3 + away
                hbt.modify(0, mine, tick * size, order_qty, False)
    n_live, position, n = poll(hbt, live, n_live, left, position, table, stamps, n)
    return n, code
