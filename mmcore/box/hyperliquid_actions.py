"""Hyperliquid's ``/exchange``: who signed, may he, and what becomes of each item of the action."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from . import hyperliquid_forms as forms
from .accounts import Account
from .floor import Floor
from .hyperliquid_forms import MS, Malformed
from .hyperliquid_signing import USER_SIGNED, BadNonce, action_hash, l1_signers, user_signer
from .hyperliquid_state import Overspent, State
from .orders import Ending, NewOrder, Order, Refusal, RefusalKind, Status

BATCH_MAX = 1_000  # items of one action
SCHEDULE_AHEAD_MS = 5_000
FAR_PERCENT = 80  # a price may be so far from the mark
EXPIRED_COST = 5  # requests that an action costs which came after its own expiry
RESERVED_PRICE = 50_000  # quanta of USDC per reserved request
DEFAULT = {"status": "ok", "response": {"type": "default"}}
GONE = "Cannot modify canceled or filled order"
CANCELS = frozenset({"cancel", "cancelByCloid", "noop", "scheduleCancel"})


class Refused(Exception):
    """The whole action is refused; the text is the venue's."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request of ``/exchange``, taken apart."""

    action: Mapping[str, Any]
    kind: str
    nonce: int
    signature: Mapping[str, Any]
    vault: str | None
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order of an action.  text: why it cannot be one, "" where it can."""

    asset: int
    floor: Floor | None
    side: int
    tick: int
    qty: int
    tif: str
    reduce_only: bool
    cloid: str
    text: str


def n_items(action: Mapping[str, Any]) -> int:
    """What an action counts for: its items, at least one."""
    for key in ("orders", "cancels", "modifies"):
        items = action.get(key)
        if isinstance(items, list):
            return max(1, len(items))
    return 1


class Actions:
    """Answers to actions, in the form of the venue."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.exchange = state.exchange

    def answer(self, body: object) -> dict[str, Any]:
        """Do what a request's body asks.  Raises Malformed where it has not the venue's form."""
        signed = _signed(body)
        do = self._DO.get(signed.kind)
        if do is None:
            raise Malformed(f"unknown action {signed.kind!r}")
        try:
            account = self._account(signed)
            return do(self, account, signed.action)
        except (Refused, BadNonce, Overspent) as refused:
            return {"status": "err", "response": str(refused)}

    # -- who, and may he

    def _account(self, signed: Signed) -> Account:
        state = self.state
        signer = self._signer(signed)
        user = state.signs_for(signer)
        if user is None or (signed.kind in USER_SIGNED and signer != user):
            raise Refused(f"User or API Wallet {signer} does not exist.")
        now_ms = state.now_ms()
        state.nonces(signer).take(signed.nonce, now_ms)
        if signed.vault is not None and signed.kind not in USER_SIGNED:
            if state.leaders.get(signed.vault) != user:
                raise Refused(f"Vault not registered: {signed.vault}")
            user = signed.vault
        account = state.accounts[user]
        budget, engine_ns = state.budgets[account], state.box.clock.engine_ns()
        if signed.expires_after is not None and now_ms > signed.expires_after:
            budget.take(EXPIRED_COST, engine_ns, cancel=True)
            raise Refused(f"Action expired: {signed.expires_after} is before {now_ms}")
        if signed.kind != "reserveRequestWeight":  # the way out of a spent budget
            budget.take(n_items(signed.action), engine_ns, cancel=signed.kind in CANCELS)
        return account

    def _signer(self, signed: Signed) -> str:
        """The known address that signed with either source, else what the first one gives."""
        try:
            if signed.kind in USER_SIGNED:
                return user_signer(signed.action, signed.signature)
            digest = action_hash(signed.action, signed.nonce, signed.vault, signed.expires_after)
            signers = l1_signers(digest, signed.signature)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise Malformed(f"signature or action cannot be read: {error}") from None
        return next((one for one in signers if self.state.signs_for(one)), signers[0])

    # -- orders

    def _order(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        wanted = [self._wanted(wire) for wire in _items(action, "orders")]
        return _statuses("order", [self._place(account, each) for each in wanted])

    def _wanted(self, wire: Mapping[str, Any]) -> Wanted:
        asset, terms = forms.integer(wire.get("a")), wire.get("t")
        floor = self._floor(asset)
        if not isinstance(wire.get("b"), bool) or not isinstance(wire.get("r"), bool):
            raise Malformed("b and r are true or false")
        tif, text = _tif(terms)
        cloid = "" if wire.get("c") is None else forms.cloid(wire["c"])
        tick = qty = 0
        if floor is None:
            text = text or "Invalid asset."
            forms.scaled(wire.get("p"), 8)
            forms.scaled(wire.get("s"), 8)
        else:
            tick, bad_price = _tick(floor, wire.get("p"))
            qty, bad_size = _qty(floor, wire.get("s"))
            text = text or bad_price or bad_size
        return Wanted(
            asset, floor, 1 if wire["b"] else -1, tick, qty, tif, wire["r"], cloid, text
        )  # fmt: skip

    def _floor(self, asset: int) -> Floor | None:
        floors = self.state.floors
        return floors[asset] if asset < len(floors) else None

    def _place(self, account: Account, wanted: Wanted) -> dict[str, Any]:
        floor = wanted.floor
        if wanted.text or floor is None:
            return {"error": f"{wanted.text} asset={wanted.asset}"}
        if _is_far(floor, wanted.tick):
            return {"error": forms.refusal(RefusalKind.PRICE_BAND, floor, wanted.asset)}
        new = NewOrder(
            floor=floor,
            side=wanted.side,
            qty=wanted.qty,
            tick=wanted.tick,
            tif=forms.TIFS[wanted.tif],
            reduce_only=wanted.reduce_only,
            client_id=wanted.cloid,
            extra={"tif": wanted.tif},
        )
        try:
            order = self.exchange.place(account, new, self.state.box.clock.engine_ns())
        except Refusal as refused:
            return {"error": forms.refusal(refused.kind, floor, wanted.asset)}
        return _placed(order, wanted.asset)

    def _batch_modify(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        items = [self._modification(item) for item in _items(action, "modifies")]
        statuses = [self._modify(account, oid, wanted) for oid, wanted in items]
        return _statuses("order", statuses)

    def _modify_one(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        status = self._modify(account, *self._modification(action))
        if "error" in status:
            raise Refused(status["error"])
        return DEFAULT

    def _modification(self, item: Mapping[str, Any]) -> tuple[int | str, Wanted]:
        oid, wire = item.get("oid"), item.get("order")
        if not isinstance(wire, Mapping):
            raise Malformed("order is not an object")
        which = forms.cloid(oid) if isinstance(oid, str) else forms.integer(oid)
        return which, self._wanted(wire)

    def _modify(self, account: Account, oid: int | str, wanted: Wanted) -> dict[str, Any]:
        """The old order goes, a new one comes, under a new number and behind the others.

        What can be told of the new one beforehand leaves the old one as it is.
        """
        old = self.state.find(account, oid)
        if old is None or not old.open or old.floor is not wanted.floor:
            return {"error": f"{GONE}. asset={wanted.asset}"}
        floor = wanted.floor
        kind = None if wanted.text else _foreseen(wanted)
        if kind is not None:
            return {"error": forms.refusal(kind, floor, wanted.asset)}
        if not wanted.text:
            now_ns = self.state.box.clock.engine_ns()
            try:
                self.exchange.cancel(account, old, now_ns, Ending.REPLACED)
            except Refusal:  # the call brought the market up to now, and that filled it
                return {"error": f"{GONE}. asset={wanted.asset}"}
        return self._place(account, wanted)

    def _cancel(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        items = [
            (forms.integer(item.get("a")), forms.integer(item.get("o")))
            for item in _items(action, "cancels")
        ]
        return _statuses("cancel", [self._end(account, asset, oid) for asset, oid in items])

    def _cancel_by_cloid(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        items = [
            (forms.integer(item.get("asset")), forms.cloid(item.get("cloid")))
            for item in _items(action, "cancels")
        ]
        return _statuses("cancel", [self._end(account, asset, cloid) for asset, cloid in items])

    def _end(self, account: Account, asset: int, oid: int | str) -> Any:
        order = self.state.find(account, oid)
        missing = {"error": f"{forms.MISSING} asset={asset}"}
        if order is None or not order.open or order.floor is not self._floor(asset):
            return missing
        try:
            self.exchange.cancel(account, order, self.state.box.clock.engine_ns())
        except Refusal:  # filled just before
            return missing
        return "success"

    # -- the rest

    def _schedule_cancel(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        clock, at = self.state.box.clock, action.get("time")
        engine_ns = clock.engine_ns()
        if at is None:
            self.exchange.countdown(account, None, None, engine_ns)
            return DEFAULT
        at_ms = forms.integer(at)
        if at_ms < self.state.now_ms() + SCHEDULE_AHEAD_MS:
            raise Refused(
                "Scheduled cancel time too early, must be at least 5 seconds from current time."
            )
        if not self.state.may_schedule(account, clock.now_ns()):
            raise Refused("Too many scheduled cancel triggers today.")
        self.exchange.countdown(account, None, at_ms * MS - clock.offset_ns, engine_ns)
        return DEFAULT

    def _update_leverage(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        asset, leverage = forms.integer(action.get("asset")), forms.integer(action.get("leverage"))
        if not isinstance(action.get("isCross"), bool):
            raise Malformed("isCross is true or false")
        floor, now_ns = self._floor(asset), self.state.box.clock.engine_ns()
        if floor is None:
            raise Refused(f"Invalid asset. asset={asset}")
        if not 1 <= leverage <= forms.max_leverage(floor):
            raise Refused(f"{forms.REFUSED[RefusalKind.LEVERAGE]} asset={asset}")
        mode = "cross" if action["isCross"] else "isolated"
        try:
            if mode != account.position(floor).margin_mode:
                self.exchange.set_margin_mode(account, floor, mode, now_ns)
            if leverage != account.position(floor).leverage:
                self.exchange.set_leverage(account, floor, leverage, now_ns)
        except Refusal as refused:
            raise Refused(forms.refusal(refused.kind, floor, asset)) from None
        return DEFAULT

    def _update_isolated(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        """Margin is that of the whole wallet here: what is moved within it changes nothing."""
        asset, moved = forms.integer(action.get("asset")), action.get("ntli")
        if isinstance(moved, bool) or not isinstance(moved, int):
            raise Malformed("ntli is a whole number")
        floor = self._floor(asset)
        held = None if floor is None else account.position(floor)
        if held is None or not held.qty or held.margin_mode != "isolated":
            raise Refused(f"No isolated position to change the margin of. asset={asset}")
        return DEFAULT

    def _noop(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        del account, action  # its nonce was all it had
        return DEFAULT

    def _reserve(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        weight = forms.integer(action.get("weight"))
        if not 0 < weight <= 10**9:
            raise Refused("Invalid request weight.")
        price, now_ns = weight * RESERVED_PRICE, self.state.box.clock.engine_ns()
        try:
            self.exchange.transfer(account, "perp", "USDC", -price, now_ns)
        except Refusal:
            raise Refused("Insufficient balance to reserve request weight.") from None
        self.state.budgets[account].reserved += weight
        return DEFAULT

    def _approve_agent(self, account: Account, action: Mapping[str, Any]) -> dict[str, Any]:
        agent = forms.address(action.get("agentAddress"))
        if agent in self.state.accounts:
            raise Refused("Extra agent already used.")
        self.state.agents[agent] = self.state.addresses[account]
        return DEFAULT

    _DO: ClassVar[Mapping[str, Callable[..., dict[str, Any]]]] = {
        "order": _order,
        "cancel": _cancel,
        "cancelByCloid": _cancel_by_cloid,
        "modify": _modify_one,
        "batchModify": _batch_modify,
        "scheduleCancel": _schedule_cancel,
        "updateLeverage": _update_leverage,
        "updateIsolatedMargin": _update_isolated,
        "noop": _noop,
        "reserveRequestWeight": _reserve,
        "approveAgent": _approve_agent,
        "approveBuilderFee": _noop,  # builders are not paid here
        "setReferrer": _noop,
    }


def _signed(body: object) -> Signed:
    if not isinstance(body, Mapping):
        raise Malformed("not an object")
    action, signature = body.get("action"), body.get("signature")
    if not isinstance(action, Mapping) or not isinstance(action.get("type"), str):
        raise Malformed("action is not an object with a type")
    if not isinstance(signature, Mapping):
        raise Malformed("signature is not an object")
    vault, expires = body.get("vaultAddress"), body.get("expiresAfter")
    return Signed(
        action,
        action["type"],
        forms.integer(body.get("nonce")),
        signature,
        None if vault is None else forms.address(vault),
        None if expires is None else forms.integer(expires),
    )


def _items(action: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    items = action.get(key)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise Malformed(f"{key} is not a list of objects")
    if not items:
        raise Refused(f"Empty batch of {key}.")
    if len(items) > BATCH_MAX:
        raise Refused(f"Too many {key} in one batch.")
    return items


def _tif(terms: object) -> tuple[str, str]:
    """Time in force, and what speaks against it."""
    if not isinstance(terms, Mapping):
        raise Malformed("t is not an object")
    limit, trigger = terms.get("limit"), terms.get("trigger")
    if isinstance(trigger, Mapping):
        return "Gtc", "Trigger orders are not served by the exchange in the box."
    tif = limit.get("tif") if isinstance(limit, Mapping) else None
    if not isinstance(tif, str) or tif not in forms.TIFS:
        raise Malformed("t.limit.tif is none of Alo, Ioc and Gtc")
    return tif, ""


def _tick(floor: Floor, text: object) -> tuple[int, str]:
    """Ticks of a price, and what speaks against it."""
    _, decimals, mul, _, _ = floor.instrument.scale()
    scaled = forms.scaled(text, decimals)
    if not scaled:
        return 0, "Order has invalid price." if scaled == 0 else forms.REFUSED[RefusalKind.TICK]
    tick, off = divmod(scaled, mul)
    if off or floor.spec.tick_floor(tick) != tick:
        return 0, forms.REFUSED[RefusalKind.TICK]
    return tick, ""


def _is_far(floor: Floor, tick: int) -> bool:
    """Whether a price is too far from the mark, on whichever side."""
    mark, price = floor.mark, forms.quanta(floor, tick)
    return mark > 0 and abs(price - mark) * 100 > mark * FAR_PERCENT


def _qty(floor: Floor, text: object) -> tuple[int, str]:
    """Units of a size, and what speaks against it."""
    qty = forms.scaled(text, floor.instrument.qty_decimals)
    if qty is None:
        return 0, forms.REFUSED[RefusalKind.LOT]
    return qty, "" if qty else forms.ZERO_SIZE


def _foreseen(wanted: Wanted) -> RefusalKind | None:
    """What an order would be refused for, as far as the book and its own figures tell."""
    floor = wanted.floor
    assert floor is not None  # an order without a floor has a text
    least = forms.scaled(floor.instrument.min_notional, 8) or 0
    if floor.notional(wanted.tick, wanted.qty) < least and not wanted.reduce_only:
        return RefusalKind.NOTIONAL
    if _is_far(floor, wanted.tick):
        return RefusalKind.PRICE_BAND
    other = floor.best(-wanted.side)
    crosses = other is not None and (wanted.tick - other[0]) * wanted.side >= 0
    return RefusalKind.POST_ONLY if crosses and wanted.tif == "Alo" else None


def _placed(order: Order, asset: int) -> dict[str, Any]:
    """What one order came to."""
    names: dict[str, Any] = {"oid": order.id}
    if name := forms.shown_cloid(order):
        names["cloid"] = name
    if order.open:
        return {"resting": names}
    if order.filled:
        average = forms.rounded(order.avg_price, 8)
        return {"filled": {"totalSz": forms.size(order.floor, order.filled), "avgPx": average}
                | names}  # fmt: skip
    kind = RefusalKind.MARGIN if order.ending is Ending.MARGIN else RefusalKind.NO_LIQUIDITY
    if order.status is Status.REJECTED and order.ending is Ending.POST_ONLY:
        kind = RefusalKind.POST_ONLY
    return {"error": forms.refusal(kind, order.floor, asset)}


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}
