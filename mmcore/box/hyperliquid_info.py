"""Hyperliquid's ``/info``: what anybody may ask about markets, and about any address."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, ClassVar

from . import hyperliquid_forms as forms
from .accounts import Account
from .floor import Floor
from .hyperliquid_forms import Malformed
from .hyperliquid_state import State
from .orders import Order

LEVELS = 20
LEVELS_SUMMED = 4_000  # looked at for a book of fewer significant figures
ROWS_MAX = 2_000  # of an answer that goes back from now
ROWS_OF_A_SPAN = 500  # of an answer for a span of time
ROWS_PER_WEIGHT = 20
FUNDINGS_KEPT = 5_000
WEIGHTS: Mapping[str, int] = dict.fromkeys(
    ("allMids", "clearinghouseState", "exchangeStatus", "l2Book", "orderStatus",
     "spotClearinghouseState"), 2,
) | {"userRole": 60}  # fmt: skip
WEIGHT = 20
BY_ROWS = frozenset(
    {"fundingHistory", "historicalOrders", "userFills", "userFillsByTime", "userFunding"}
)
SPOT_META = {
    "tokens": [
        {
            "name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0,
            "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054", "isCanonical": True,
            "evmContract": None, "fullName": None,
        },
    ],
    "universe": [],
}  # fmt: skip

Query = Mapping[str, Any]


def weight_of(query: object) -> int:
    """What a request costs its address before it is answered."""
    kind = query.get("type") if isinstance(query, Mapping) else None
    return WEIGHTS.get(kind, WEIGHT) if isinstance(kind, str) else WEIGHT


class Info:
    """Answers to questions, in the form of the venue."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._fundings: deque[tuple[int, Floor, int]] = deque(maxlen=FUNDINGS_KEPT)
        self._due = {floor: floor.next_funding_ns for floor in state.floors}

    def answer(self, query: object) -> Any:
        """What a question's answer is.  Raises Malformed where it has not the venue's form."""
        if not isinstance(query, Mapping):
            raise Malformed("not an object")
        kind = query.get("type")
        ask = self._ASK.get(kind) if isinstance(kind, str) else None
        if ask is None:
            raise Malformed(f"unknown type {kind!r}")
        return ask(self, query)

    def extra_weight(self, query: object, answer: object) -> int:
        """What the rows of an answer cost beside :func:`weight_of`."""
        if not isinstance(answer, list) or not isinstance(query, Mapping):
            return 0
        return len(answer) // ROWS_PER_WEIGHT if query.get("type") in BY_ROWS else 0

    def tick(self) -> None:
        """Write down the funding stamps that have passed."""
        for floor, due_ns in self._due.items():
            if floor.next_funding_ns != due_ns:
                if due_ns:
                    self._fundings.append((due_ns, floor, floor.funding_rate))
                self._due[floor] = floor.next_funding_ns

    # -- markets

    def meta(self, query: Query) -> dict[str, Any]:
        """The universe: coins by number."""
        del query
        universe = [
            {
                "szDecimals": floor.instrument.qty_decimals,
                "name": floor.symbol,
                "maxLeverage": forms.max_leverage(floor),
                "marginTableId": forms.max_leverage(floor),
            }
            for floor in self.state.floors
        ]
        return {"universe": universe, "marginTables": [], "collateralToken": 0}

    def context(self, floor: Floor) -> dict[str, Any]:
        """Prices and funding of a coin."""
        held = (account.position(floor).qty for account in self.state.accounts.values())
        return forms.context(floor, sum(abs(qty) for qty in held))

    def _meta_and_contexts(self, query: Query) -> list[Any]:
        return [self.meta(query), [self.context(floor) for floor in self.state.floors]]

    def _spot_meta(self, query: Query) -> dict[str, Any]:
        del query
        return SPOT_META

    def _spot_meta_and_contexts(self, query: Query) -> list[Any]:
        del query
        return [SPOT_META, []]

    def _perp_dexs(self, query: Query) -> list[None]:
        del query
        return [None]  # the venue's own, which has no name

    def all_mids(self, query: Query) -> dict[str, str]:
        """Middle of each coin's best prices."""
        del query
        contexts = ((floor, self.context(floor)) for floor in self.state.floors)
        return {floor.symbol: said["midPx"] or said["markPx"] for floor, said in contexts}

    def book(self, query: Query) -> dict[str, Any]:
        """The whole book, 20 levels a side, summed up where the request says how far."""
        floor = self._coin(query)
        sides = [_levels(floor, side, *_rounding(query)) for side in (1, -1)]
        return {
            "coin": floor.symbol,
            "time": self.state.now_ms(),  # of the block, whether or not it changed the book
            "levels": sides,
        }

    def _exchange_status(self, query: Query) -> dict[str, Any]:
        del query
        return {"time": self.state.now_ms(), "specialStatuses": None}

    def _funding_history(self, query: Query) -> list[dict[str, Any]]:
        floor = self._coin(query)
        rows = (
            {
                "coin": floor.symbol,
                "fundingRate": forms.decimal_text(rate, 12),
                "premium": "0.0",
                "time": self.state.ms(stamp_ns),
            }
            for stamp_ns, of, rate in self._fundings
            if of is floor
        )
        return _span(rows, query, ROWS_OF_A_SPAN)

    # -- one address

    def clearinghouse(self, query: Query) -> dict[str, Any]:
        """Margin and positions."""
        account = self._account(query)
        told = self.state.box.balances.wallet(account, "perp") if account else None
        return forms.clearinghouse(account, self.state.now_ms(), told)

    def _spot_clearinghouse(self, query: Query) -> dict[str, Any]:
        self._account(query)
        held = {"coin": "USDC", "token": 0, "hold": "0.0", "total": "0.0", "entryNtl": "0.0"}
        return {"balances": [held]}

    def _open_orders(self, query: Query) -> list[dict[str, Any]]:
        return [forms.basic_order(order, self._ms(order)) for order in self._open(query)]

    def _frontend_orders(self, query: Query) -> list[dict[str, Any]]:
        return [forms.full_order(order, self._ms(order)) for order in self._open(query)]

    def _open(self, query: Query) -> list[Order]:
        account = self._account(query)
        return [] if account is None else account.orders()[::-1]

    def order_status(self, query: Query) -> dict[str, Any]:
        """One order by number or client id."""
        account, oid = self._account(query), query.get("oid")
        key = forms.cloid(oid) if isinstance(oid, str) else forms.integer(oid)
        order = None if account is None else self.state.find(account, key)
        if order is None:
            return {"status": "unknownOid"}
        return {"status": "order", "order": self._with_status(order)}

    def _history(self, query: Query) -> list[dict[str, Any]]:
        account = self._account(query)
        if account is None:
            return []
        ended = islice(reversed(account.history), ROWS_MAX)
        rows = [self._with_status(order) for order in (*account.orders()[::-1], *ended)]
        return rows[:ROWS_MAX]

    def _with_status(self, order: Order) -> dict[str, Any]:
        return {
            "order": forms.full_order(order, self._ms(order)),
            "status": forms.status_word(order),
            "statusTimestamp": self.state.ms(order.updated_ns),
        }

    def _fills(self, query: Query) -> list[dict[str, Any]]:
        account = self._account(query)
        return [] if account is None else self.fills(account)

    def fills(self, account: Account) -> list[dict[str, Any]]:
        """The latest fills, newest first."""
        latest = islice(reversed(account.fills), ROWS_MAX)
        return [forms.fill(done, self.state.ms(done.ts_ns)) for done in latest]

    def _fills_by_time(self, query: Query) -> list[dict[str, Any]]:
        account = self._account(query)
        fills = account.fills if account is not None else ()
        rows = (forms.fill(done, self.state.ms(done.ts_ns)) for done in fills)
        return _span(rows, query, ROWS_MAX)

    def _fundings_of(self, query: Query) -> list[dict[str, Any]]:
        account = self._account(query)
        payments = account.payments if account is not None else ()
        rows = []
        for payment in payments:
            delta = forms.funding(payment, self.state.ms(payment.ts_ns))
            time = delta.pop("time")
            rows.append({
                "time": time,
                "hash": f"0x{payment.id:064x}",
                "delta": {"type": "funding"} | delta,
            })  # fmt: skip
        return _span(rows, query, ROWS_OF_A_SPAN)

    def _fees(self, query: Query) -> dict[str, Any]:
        account = self._account(query)
        rates = (0, 0)
        for floor in self.state.floors[:1]:  # they are those of the account, whatever the coin
            rates = floor.fee_rates if account is None else account.fee_rates[floor]
        maker, taker = rates
        add, cross = (forms.decimal_text(rate, 8) for rate in (maker, taker))
        return {
            "dailyUserVlm": [],
            "feeSchedule": {
                "cross": cross, "add": add, "spotCross": cross, "spotAdd": add,
                "tiers": {"vip": [], "mm": []}, "referralDiscount": "0.04",
                "stakingDiscountTiers": [],
            },
            "userCrossRate": cross,
            "userAddRate": add,
            "userSpotCrossRate": cross,
            "userSpotAddRate": add,
            "activeReferralDiscount": "0.0",
            "trial": None,
            "feeTrialReward": "0.0",
            "nextTrialAvailableTimestamp": None,
        }  # fmt: skip

    def _rate_limit(self, query: Query) -> dict[str, Any]:
        account = self._account(query)
        budget = None if account is None else self.state.budgets[account]
        return {
            "cumVlm": forms.money(budget.volume) if budget else "0.0",
            "nRequestsUsed": budget.used if budget else 0,
            "nRequestsCap": budget.cap if budget else 0,
            "nRequestsSurplus": max(0, budget.cap - budget.used) if budget else 0,
        }

    def _role(self, query: Query) -> dict[str, Any]:
        user, state = forms.address(query.get("user")), self.state
        if user in state.leaders:
            return {"role": "subAccount", "data": {"master": state.leaders[user]}}
        if user in state.accounts:
            return {"role": "user"}
        if user in state.agents:
            return {"role": "agent", "data": {"user": state.agents[user]}}
        return {"role": "missing"}

    def _abstraction(self, query: Query) -> str:
        self._account(query)
        return "disabled"

    def _nothing(self, query: Query) -> list[Any]:
        self._account(query)
        return []

    # -- what a query names

    def account(self, user: object) -> Account | None:
        """The account of an address.  Raises Malformed where it is none."""
        return self.state.accounts.get(forms.address(user))

    def _account(self, query: Query) -> Account | None:
        return self.account(query.get("user"))

    def _coin(self, query: Query) -> Floor:
        floor = self.state.floor(query.get("coin"))
        if floor is None:
            raise Malformed(f"unknown coin {query.get('coin')!r}")
        return floor

    def _ms(self, order: Order) -> int:
        return self.state.ms(order.created_ns)

    _ASK: ClassVar[Mapping[str, Callable[[Info, Query], Any]]] = {
        "allMids": all_mids,
        "clearinghouseState": clearinghouse,
        "exchangeStatus": _exchange_status,
        "extraAgents": _nothing,
        "frontendOpenOrders": _frontend_orders,
        "fundingHistory": _funding_history,
        "historicalOrders": _history,
        "l2Book": book,
        "meta": meta,
        "metaAndAssetCtxs": _meta_and_contexts,
        "openOrders": _open_orders,
        "orderStatus": order_status,
        "perpDexs": _perp_dexs,
        "spotClearinghouseState": _spot_clearinghouse,
        "spotMeta": _spot_meta,
        "spotMetaAndAssetCtxs": _spot_meta_and_contexts,
        "subAccounts": _nothing,
        "userAbstraction": _abstraction,
        "userFees": _fees,
        "userFills": _fills,
        "userFillsByTime": _fills_by_time,
        "userFunding": _fundings_of,
        "userNonFundingLedgerUpdates": _nothing,
        "userRateLimit": _rate_limit,
        "userRole": _role,
    }


def _span(rows: Iterable[dict[str, Any]], query: Query, most: int) -> list[dict[str, Any]]:
    """Rows from ``startTime`` to ``endTime``, oldest first, the first ``most`` of them."""
    start = forms.integer(query.get("startTime"))
    end = query.get("endTime")
    end = 1 << 62 if end is None else forms.integer(end)
    return list(islice((row for row in rows if start <= row["time"] <= end), most))


def _rounding(query: Query) -> tuple[int, int]:
    """Significant figures, 0 for all, and the step of the last one."""
    figures, mantissa = query.get("nSigFigs"), query.get("mantissa")
    if figures is None:
        return 0, 1
    mantissa = 1 if mantissa is None else mantissa
    if not isinstance(figures, int) or not isinstance(mantissa, int):
        raise Malformed("nSigFigs and mantissa are whole numbers")
    if figures not in {2, 3, 4, 5} or mantissa not in {1, 2, 5}:
        raise Malformed(f"nSigFigs {figures} with mantissa {mantissa}")
    return figures, mantissa


def _levels(floor: Floor, side: int, figures: int, mantissa: int) -> list[dict[str, Any]]:
    if not figures:
        return [forms.level(floor, tick, qty) for tick, qty in floor.top(side, LEVELS)]
    best = floor.best(side)
    if best is None:
        return []
    step = max(1, mantissa * 10 ** (len(str(best[0])) - figures))
    sums: dict[int, int] = {}
    for tick, qty in floor.top(side, min(LEVELS * step, LEVELS_SUMMED)):
        away = tick // step if side > 0 else -(-tick // step)  # away from the other side
        if away not in sums and len(sums) == LEVELS:
            break
        sums[away] = sums.get(away, 0) + qty
    return [forms.level(floor, away * step, qty) for away, qty in sums.items()]


__all__ = [
    "Info",
    "weight_of",
]
