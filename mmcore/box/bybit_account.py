"""Bybit's account: keys, balances, fees, leverage and modes, dead man's switch, pre-check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from . import margin
from .accounts import Account
from .bybit_auth import whole
from .bybit_codes import LINEAR, SPOT, Fault, bad, refused
from .bybit_desk import Answer, Desk, Params
from .bybit_market import Market
from .bybit_tell import RATE_DECIMALS, stamp, wallet_message
from .bybit_words import EMPTY_CATEGORIES, decimal, number
from .clock import Clock
from .lag import Balances
from .orders import NewOrder, Refusal, RefusalKind

LEVERAGE_MAX = 100
DCP_SECONDS = (3, 300)
DCP_PRODUCTS = {"DERIVATIVES": LINEAR, "SPOT": SPOT, "OPTIONS": "option"}
MODES = {0: False, 3: True}
MARGIN_MODES = frozenset({"REGULAR_MARGIN", "ISOLATED_MARGIN", "PORTFOLIO_MARGIN"})
DONE: Answer = {}


@dataclass(slots=True)
class Settings:
    """What Bybit keeps of an account beside money.  dcp: product -> window in s."""

    uid: int
    updated_ns: int
    dcp: dict[str, int] = field(default_factory=dict)


class Office:
    """Routes about the account itself.

    balances: the wallets as accounts are told of them.  dcp_set: told when a dead man's switch was
    set.
    """

    def __init__(self, desk: Desk, market: Market, clock: Clock, balances: Balances) -> None:
        self.desk = desk
        self.market = market
        self.clock = clock
        self.balances = balances
        now_ns = clock.now_ns()
        bybit = desk.exchange.accounts_of("bybit")
        self.settings = {
            account.name: Settings(24_617_703 + at, now_ns) for at, account in enumerate(bybit)
        }
        self.dcp_set: Callable[[], None] | None = None
        self.reads: Mapping[str, Callable[[Account, Params], Answer]] = {
            "/v5/user/query-api": self.key,
            "/v5/account/info": self.info,
            "/v5/account/wallet-balance": self.balance,
            "/v5/account/fee-rate": self.fee_rate,
            "/v5/account/query-dcp-info": self.dcp_info,
            "/v5/asset/coin/query-info": self.coins,
        }
        self.writes: Mapping[str, Callable[[Account, Params, int], Answer]] = {
            "/v5/order/disconnected-cancel-all": self.set_dcp,
            "/v5/order/pre-check": self.pre_check,
            "/v5/position/set-leverage": self.set_leverage,
            "/v5/position/switch-mode": self.switch_mode,
            "/v5/account/set-margin-mode": self.set_margin_mode,
        }

    # -- reads

    def key(self, account: Account, params: Params) -> Answer:  # noqa: ARG002 - the form of all
        """``/v5/user/query-api``: what the key may do."""
        trade = "trade" in account.permissions
        withdraw = "withdraw" in account.permissions
        uid = self.settings[account.name].uid
        return {
            "id": str(13_770_661 + uid),
            "note": account.name,
            "apiKey": account.credentials.key,
            "readOnly": 0 if trade else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if trade else [],
                "Spot": ["SpotTrade"] if trade else [],
                "Wallet": ["AccountTransfer", "Withdraw"] if withdraw else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"] if trade else [],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
            },
            "ips": ["*"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": "2099-01-01T00:00:00Z",
            "createdAt": "2022-10-16T02:24:40Z",
            "unified": 0,
            "uta": 1,
            "userID": uid,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    def info(self, account: Account, params: Params) -> Answer:  # noqa: ARG002 - the form of all
        """``/v5/account/info``: a unified account 2.0 with cross margin."""
        settings = self.settings[account.name]
        windows = [seconds for seconds in settings.dcp.values() if seconds]
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": stamp(settings.updated_ns),
            "unifiedMarginStatus": 5,
            "dcpStatus": "ON" if windows else "OFF",
            "timeWindow": min(windows, default=10),
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def balance(self, account: Account, params: Params) -> Answer:
        """``/v5/account/wallet-balance``."""
        if params.get("accountType") != "UNIFIED":
            raise bad("accountType only support UNIFIED")
        coins = str(params.get("coin") or "")
        names = frozenset(coin for coin in coins.split(",") if coin)
        unknown = names - set(account.wallets["unified"].balances)
        if unknown:
            raise bad(f"coin {min(unknown)} not supported")
        shown = self.wallet(account)
        rows = [row for row in shown["coin"] if not names or row["coin"] in names]
        return {"list": [{**shown, "coin": rows}]}

    def wallet(self, account: Account, *, late: bool = True) -> dict[str, Any]:
        """The unified wallet; a scripted lag makes it late, but of what is late in itself."""
        wallet = account.wallets["unified"]
        if late:
            wallet = self.balances.wallet(account, "unified")
        return wallet_message(wallet, self.market.usd_marks())

    def fee_rate(self, account: Account, params: Params) -> Answer:
        """``/v5/account/fee-rate``."""
        category = self.desk.category(params)
        places = self.desk.of(category)
        if params.get("symbol"):
            places = [self.desk.place(category, params["symbol"])]
        rows = []
        for place in places:
            maker, taker = account.fee_rates[place.floor]
            rows.append({
                "symbol": place.floor.symbol,
                "baseCoin": "",
                "takerFeeRate": decimal(taker, RATE_DECIMALS),
                "makerFeeRate": decimal(maker, RATE_DECIMALS),
            })  # fmt: skip
        return {"category": category, "list": rows}

    def dcp_info(self, account: Account, params: Params) -> Answer:  # noqa: ARG002 - as above
        """``/v5/account/query-dcp-info``."""
        dcp = self.settings[account.name].dcp
        return {
            "dcpInfos": [
                {
                    "product": product,
                    "dcpStatus": "ON" if dcp.get(product) else "OFF",
                    "timeWindow": str(dcp.get(product) or 10),
                }
                for product in ("SPOT", "DERIVATIVES", "OPTIONS")
            ]
        }

    def coins(self, account: Account, params: Params) -> Answer:
        """``/v5/asset/coin/query-info``: coins of the wallet, none of which can leave the box."""
        wanted = params.get("coin")
        rows = [
            {
                "name": coin,
                "coin": coin,
                "remainAmount": "0",
                "chains": [
                    {
                        "chainType": coin,
                        "confirmation": "1",
                        "withdrawFee": "",
                        "depositMin": "0",
                        "withdrawMin": "0",
                        "chain": coin,
                        "chainDeposit": "0",
                        "chainWithdraw": "0",
                        "minAccuracy": "8",
                        "withdrawPercentageFee": "0",
                        "contractAddress": "",
                        "safeConfirmNumber": "1",
                    }
                ],
            }
            for coin in account.wallets["unified"].balances
            if not wanted or wanted == coin
        ]
        return {"rows": rows}

    # -- writes

    def set_dcp(self, account: Account, params: Params, now_ns: int) -> Answer:
        """``/v5/order/disconnected-cancel-all``."""
        product = params.get("product") or "OPTIONS"
        seconds = whole(params.get("timeWindow"))
        if not isinstance(product, str) or product not in DCP_PRODUCTS:
            raise bad("product invalid")
        if seconds is None or not DCP_SECONDS[0] <= seconds <= DCP_SECONDS[1]:
            raise bad("timeWindow invalid, expected 3 to 300")
        settings = self.settings[account.name]
        settings.dcp[product] = seconds
        settings.updated_ns = now_ns
        if self.dcp_set is not None:
            self.dcp_set()
        return DONE

    def set_leverage(self, account: Account, params: Params, now_ns: int) -> Answer:
        """``/v5/position/set-leverage``: both sides alike; 110043 where it is so already."""
        category, floor = self._linear(params)
        buy = number(params.get("buyLeverage"), "buyLeverage")
        sell = number(params.get("sellLeverage"), "sellLeverage")
        if buy != sell:
            raise bad("buy leverage and sell leverage must be equal in one-way mode")
        if buy.denominator != 1:
            raise bad("the box has whole leverages only")
        if not 1 <= buy <= LEVERAGE_MAX:
            raise Fault(110013, "Cannot set leverage due to risk limit level.")
        if account.position(floor).leverage == buy:
            raise Fault(110043, "leverage not modified")
        try:
            self.desk.exchange.set_leverage(account, floor, int(buy), now_ns)
        except Refusal as refusal:
            if refusal.kind is RefusalKind.NOT_CHANGED:
                raise Fault(110043, "leverage not modified") from None
            if refusal.kind is RefusalKind.MARGIN:
                raise Fault(110044, "Available margin is insufficient.") from None
            raise refused(refusal, category) from None
        return DONE

    def switch_mode(self, account: Account, params: Params, now_ns: int) -> Answer:
        """``/v5/position/switch-mode``: one-way or hedge, of the whole account here."""
        category = params.get("category")
        if category != LINEAR:
            raise bad("category only support linear or inverse")
        mode = params.get("mode")
        if not isinstance(mode, int) or isinstance(mode, bool) or mode not in MODES:
            raise bad("mode invalid")
        if params.get("symbol"):
            self.desk.place(LINEAR, params["symbol"])
        elif not params.get("coin"):
            raise bad("symbol or coin is required")
        if account.hedge_mode is MODES[mode]:
            raise Fault(110025, "Position mode is not modified")
        try:
            self.desk.exchange.set_hedge_mode(account, MODES[mode], now_ns)
        except Refusal as refusal:
            if refusal.kind is RefusalKind.NOT_CHANGED:
                raise Fault(110025, "Position mode is not modified") from None
            if any(account.positions[place.floor].qty for place in self.desk.of(LINEAR)):
                raise Fault(110024, "You have an existing position, so the position mode "
                            "cannot be switched.") from None  # fmt: skip
            raise Fault(110028, "You have existing open orders, so the position mode "
                        "cannot be switched.") from None  # fmt: skip
        return DONE

    def set_margin_mode(self, account: Account, params: Params, now_ns: int) -> Answer:
        """``/v5/account/set-margin-mode``: the box has cross margin, and says so."""
        mode = params.get("setMarginMode")
        if not isinstance(mode, str) or mode not in MARGIN_MODES:
            raise bad("setMarginMode invalid")
        if mode != "REGULAR_MARGIN":
            raise Fault(3400045, "Set margin mode failed: this account has cross margin only.")
        self.settings[account.name].updated_ns = now_ns
        return {"reasons": []}

    def pre_check(self, account: Account, params: Params, now_ns: int) -> Answer:  # noqa: ARG002
        """``/v5/order/pre-check``: margin rates, in 1e-4, before and after an order."""
        category = self.desk.category(params)
        place = self.desk.place(category, params.get("symbol"))
        new = self.desk.new_order(account, place, params)
        wallet = account.wallet(place.floor)
        before = margin.figures(account, wallet)
        initial, least = before.initial, before.maintenance
        if category == LINEAR:
            extra = _worth(new)
            position = account.position(place.floor)
            initial += margin.initial(position, extra, new.side) - margin.initial(position)
            least += extra // margin.MAINTENANCE_DEN
        if initial > before.equity:
            raise refused(Refusal(RefusalKind.MARGIN, "not enough"), category)
        return {
            "orderId": "",
            "orderLinkId": new.client_id,
            "preImrE4": _share(before.initial, before.equity),
            "preMmrE4": _share(before.maintenance, before.equity),
            "postImrE4": _share(initial, before.equity),
            "postMmrE4": _share(least, before.equity),
        }

    def _linear(self, params: Params) -> tuple[str, Any]:
        category = params.get("category")
        if category != LINEAR:
            if isinstance(category, str) and category in EMPTY_CATEGORIES:
                raise bad("symbol invalid")
            raise bad("category only support linear or inverse")
        return LINEAR, self.desk.place(LINEAR, params.get("symbol")).floor


def _worth(new: NewOrder) -> int:
    """Notional of an order, at the mark where it has no price."""
    if new.tick:
        return new.floor.notional(new.tick, new.qty)
    return abs(new.floor.value(new.qty))


def _share(part: int, whole_: int) -> int:
    return round(Fraction(part * 10_000, whole_)) if whole_ > 0 else 0


__all__ = ["DCP_PRODUCTS", "Office", "Settings"]
