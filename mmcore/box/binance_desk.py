"""One product of Binance in the box: its instruments and accounts, its limits, who may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .accounts import Account, Wallet
from .binance_access import (
    Access,
    check_clock,
    check_signature,
    signed_bytes,
    socket_bytes,
)
from .binance_terms import VENUES, Market, Terms
from .binance_words import Params, Refused, pairs
from .dialects import Request
from .exchange import Exchange
from .floor import Floor
from .limits import SECOND_NS, Verdict
from .orders import Order

if TYPE_CHECKING:
    from .server import Box

STRIKES = 20  # refused requests of one minute, then the address is banned
BANNED = (
    "Way too many requests; IP({ip}) banned until {until}. "
    "Please use the websocket for live updates to avoid bans."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One window of a product's limits, as ``rateLimits`` writes it."""

    pool: str
    kind: str
    interval: str
    number: int
    limit: int
    header: str

    @property
    def window_ns(self) -> int:
        seconds = {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}[self.interval]
        return seconds * self.number * SECOND_NS


def _orders(market: str, interval: str, number: int, limit: int) -> Rule:
    name = f"{number}{interval[0]}"
    return Rule(
        f"binance-{market}.orders-{name}", "ORDERS", interval, number, limit,
        f"X-MBX-ORDER-COUNT-{name}",
    )  # fmt: skip


def _weight(market: str, limit: int) -> Rule:
    return Rule(
        f"binance-{market}.weight", "REQUEST_WEIGHT", "MINUTE", 1, limit, "X-MBX-USED-WEIGHT-1M"
    )


# Weight, orders in the short window, orders in the long one.
RULES: Mapping[Market, tuple[Rule, Rule, Rule]] = {
    "usdm": (
        _weight("usdm", 2400),
        _orders("usdm", "SECOND", 10, 300),
        _orders("usdm", "MINUTE", 1, 1200),
    ),
    "spot": (
        _weight("spot", 6000),
        _orders("spot", "SECOND", 10, 100),
        _orders("spot", "DAY", 1, 200_000),
    ),
}
FUNDING_POOL = "binance-usdm.funding"  # history and rules of funding, by address
FUNDING_LIMIT, FUNDING_WINDOW_NS = 500, 300 * SECOND_NS


@dataclass(slots=True)
class Ask:
    """A request that was let in.

    account: None on routes that anybody may ask.  now_ns: engine time.  ip: who asked.
    """

    params: Params
    account: Account | None
    now_ns: int
    ip: str

    @property
    def who(self) -> Account:
        """The account, on a route that has one."""
        assert self.account is not None
        return self.account


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with a request.

    call: gives the answer's JSON, or raises Refused.  access: what is asked of the caller.  weight:
    of the address's minute.  orders: in the short and the long window of the account.  word: what
    fault scripts call it.  pool: another pool of the address that it draws one token from.
    """

    call: Callable[[Ask], Any]
    access: Access = Access.PUBLIC
    weight: int | Callable[[Params], int] = 1
    orders: tuple[int, int] = (0, 0)
    word: str = "public"
    pool: str = ""

    def cost(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


class Desk:
    """The product ``market``: what all its routes and streams need to know."""

    def __init__(self, box: Box, market: Market) -> None:
        self.box = box
        self.market: Market = market
        self.spot = market == "spot"
        self.wallet = market  # the account's wallet has the product's name
        self.exchange: Exchange = box.exchange
        floors = [each for each in self.exchange.floors if each.venue == VENUES[market]]
        self.terms = {each.symbol: Terms(each, market) for each in floors}
        self.by_floor: dict[Floor, Terms] = {each.floor: each for each in self.terms.values()}
        self.rules = RULES[market]
        self._n_ids = 0
        weight, *orders = self.rules
        box.limits.declare(weight.pool, weight.limit, weight.window_ns, strikes=STRIKES)
        for rule in orders:
            box.limits.declare(rule.pool, rule.limit, rule.window_ns)
        if not self.spot:
            box.limits.declare(FUNDING_POOL, FUNDING_LIMIT, FUNDING_WINDOW_NS)

    # -- time and names

    @property
    def now_ms(self) -> int:
        """The venue's clock."""
        return self.box.clock.now_ns() // 1_000_000

    def shown_ms(self, engine_ns: int) -> int:
        """A moment of the exchange, as the venue's clock tells it."""
        return (engine_ns + self.box.clock.offset_ns) // 1_000_000

    def accounts(self) -> list[Account]:
        """Binance's accounts that have this product's wallet."""
        return [a for a in self.exchange.accounts_of("binance") if self.wallet in a.wallets]

    def fresh_id(self) -> str:
        """A client id for an order that came without one."""
        self._n_ids += 1
        return f"box{self.market}{self.box.options.seed}x{self._n_ids:010d}"

    def told(self, account: Account) -> Wallet:
        """The product's wallet as the account is told of it: to read figures from."""
        return self.box.balances.wallet(account, self.wallet)

    def orders(self, account: Account, floor: Floor | None = None) -> list[Order]:
        """Open orders of this product, oldest first."""
        if floor is not None:
            return account.orders(floor)
        return [each for each in account.orders() if each.floor in self.by_floor]

    # -- who asks

    def admit(self, route: Route, request: Request) -> Ask:
        """Count a request, and let it in or raise Refused, in the venue's order of checks."""
        body = request.body.decode("utf-8", "surrogateescape")
        if "json" in request.headers.get("Content-Type", "") and body.lstrip()[:1] == "{":
            body = ""  # the venue reads forms only
        params = Params([*pairs(request.query), *pairs(body)])
        ask = Ask(params, None, self.box.clock.engine_ns(), request.ip)
        self._count(route, ask)
        if route.access is Access.PUBLIC:
            return ask
        key = request.headers.get("X-MBX-APIKEY", "")
        ask.account = self._account(key)
        if route.access is not Access.KEY:
            self._check(ask, signed_bytes(request.query, body), route.access)
        self._count_orders(route, ask)
        return ask

    def admit_call(self, route: Route, params: Params, ip: str) -> Ask:
        """As :meth:`admit`, for a request on a socket."""
        ask = Ask(params, None, self.box.clock.engine_ns(), ip)
        self._count(route, ask)
        if route.access is Access.PUBLIC:
            return ask
        ask.account = self._account(params.text("apiKey"))
        if route.access is not Access.KEY:
            self._check(ask, socket_bytes(params), route.access)
        self._count_orders(route, ask)
        return ask

    def _account(self, key: str) -> Account:
        if not key:
            raise Refused(-2014)
        for account in self.accounts():
            if account.credentials.key == key:
                return account
        raise Refused(-2015)

    def _check(self, ask: Ask, signed: tuple[bytes, str], access: Access) -> None:
        payload, signature = signed
        check_signature(
            ask.who.credentials.secret, payload, signature, lenient=self.box.options.lenient
        )
        check_clock(ask.params, self.now_ms)
        needed = "trade" if access is Access.TRADE else "read"
        if needed not in ask.who.permissions:
            raise Refused(-2015)

    # -- limits

    def _count(self, route: Route, ask: Ask) -> None:
        rule = self.rules[0]
        cost = route.cost(ask.params)
        verdict = self.box.limits.take(rule.pool, ask.ip, cost, ask.now_ns)
        if verdict.ok and route.pool:
            verdict = self.box.limits.take(route.pool, ask.ip, 1, ask.now_ns)
        if not verdict.ok:
            raise self._too_much(verdict, ask)

    def _too_much(self, verdict: Verdict, ask: Ask) -> Refused:
        if verdict.banned_until_ns:
            until = self.shown_ms(verdict.banned_until_ns)
            refused = Refused(-1003, BANNED.format(ip=ask.ip, until=until))
            refused.status = 418
        else:
            refused = Refused(-1003, ip=ask.ip, limit=verdict.limit)
        refused.retry_s = max(1, -(-(verdict.reset_ns - ask.now_ns) // SECOND_NS))
        return refused

    def _count_orders(self, route: Route, ask: Ask) -> None:
        """Count orders in both windows, or in none."""
        taken: list[tuple[Rule, int]] = []
        for rule, n in zip(self.rules[1:], route.orders, strict=True):
            if not n:
                continue
            verdict = self.box.limits.take(rule.pool, ask.who.name, n, ask.now_ns)
            if not verdict.ok:
                for earlier, count in taken:
                    self.box.limits.give(earlier.pool, ask.who.name, count, ask.now_ns)
                interval = f"{rule.number} {rule.interval}"
                refused = Refused(-1015, limit=verdict.limit, interval=interval)
                refused.retry_s = max(1, -(-(verdict.reset_ns - ask.now_ns) // SECOND_NS))
                raise refused
            taken.append((rule, n))

    def give_order_back(self, account: Account, now_ns: int) -> None:
        """An order filled: on spot it no longer counts."""
        for rule in self.rules[1:]:
            self.box.limits.give(rule.pool, account.name, 1, now_ns)

    def take_weight(self, ip: str, weight: int) -> Verdict:
        """Weight of what is not a request: the handshake of a socket."""
        return self.box.limits.take(self.rules[0].pool, ip, weight, self.box.clock.engine_ns())

    def used(self, rule: Rule, key: str) -> int:
        """Tokens of a window that an address or an account has used."""
        return self.box.limits.look(rule.pool, key, self.box.clock.engine_ns()).used

    def headers(self, ip: str, account: Account | None, *, orders: bool) -> dict[str, str]:
        """The counts that the venue writes into its answers."""
        weight = self.rules[0]
        used = str(self.used(weight, ip))
        found = {weight.header: used}
        if self.spot:
            found["X-MBX-USED-WEIGHT"] = used
        if orders and account is not None:
            for rule in self.rules[1:]:
                found[rule.header] = str(self.used(rule, account.name))
        return found

    def rate_limits(self) -> list[dict[str, Any]]:
        """``rateLimits`` as ``exchangeInfo`` has it."""
        return [self._rule(rule) for rule in self.rules]

    def order_limits(self, account: Account) -> list[dict[str, Any]]:
        """The windows of the account's orders, with what is used of them."""
        return [
            {**self._rule(rule), "count": self.used(rule, account.name)} for rule in self.rules[1:]
        ]

    def counted_limits(self, ip: str, account: Account | None, *, orders: bool) -> list[Any]:
        """``rateLimits`` as answers on a socket have it."""
        weight = self.rules[0]
        found = [{**self._rule(weight), "count": self.used(weight, ip)}]
        if orders and account is not None:
            found += self.order_limits(account)
        return found

    def _rule(self, rule: Rule) -> dict[str, Any]:
        return {
            "rateLimitType": rule.kind,
            "interval": rule.interval,
            "intervalNum": rule.number,
            "limit": self.box.limits.limit(rule.pool),
        }


__all__ = ["FUNDING_POOL", "RULES", "Ask", "Desk", "Route", "Rule"]
