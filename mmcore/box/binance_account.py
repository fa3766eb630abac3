"""What a futures account is, holds and pays on Binance, and how it is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .accounts import Account, Position
from .binance_access import Access
from .binance_desk import Ask, Desk, Route
from .binance_market import limit_of
from .binance_terms import Terms, fixed, money_text
from .binance_words import Refused
from .exchange import LEVERAGE_MAX
from .floor import Floor
from .margin import MAINTENANCE_DEN
from .orders import Refusal, RefusalKind

OK = {"code": 200, "msg": "success"}
NOTIONAL_MAX = 10**12  # of the one tier that every symbol has
MARGIN_TYPES = {"CROSSED": "cross", "ISOLATED": "isolated"}
INCOME_TYPES = {"REALIZED_PNL", "COMMISSION", "FUNDING_FEE", "TRANSFER"}


class FuturesAccount:
    """Routes of balances, positions, settings and income."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route."""
        trade, read = Access.TRADE, Access.READ
        get = {
            "v2/account": Route(self.account_v2, read, 5, word="account"),
            "v3/account": Route(self.account_v3, read, 5, word="account"),
            "v2/balance": Route(self.balance, read, 5, word="balance"),
            "v3/balance": Route(self.balance, read, 5, word="balance"),
            "v2/positionRisk": Route(self.risk_v2, read, 5, word="positions"),
            "v3/positionRisk": Route(self.risk_v3, read, 5, word="positions"),
            "v1/commissionRate": Route(self.commission, read, 20, word="fees"),
            "v1/leverageBracket": Route(self.brackets, read, 1, word="settings"),
            "v1/rateLimit/order": Route(self.order_limits, read, 1, word="limits"),
            "v1/income": Route(self.income, read, 30, word="income"),
            "v1/positionSide/dual": Route(self.position_mode, read, 30, word="settings"),
            "v1/multiAssetsMargin": Route(self.multi_assets, read, 30, word="settings"),
            "v1/symbolConfig": Route(self.symbol_config, read, 5, word="settings"),
            "v1/accountConfig": Route(self.account_config, read, 5, word="settings"),
        }
        post = {
            "v1/leverage": Route(self.set_leverage, trade, 1, word="settings"),
            "v1/marginType": Route(self.set_margin_type, trade, 1, word="settings"),
            "v1/positionSide/dual": Route(self.set_position_mode, trade, 1, word="settings"),
            "v1/multiAssetsMargin": Route(self.set_multi_assets, trade, 1, word="settings"),
        }
        found = {("GET", "/fapi/" + name): route for name, route in get.items()}
        return found | {("POST", "/fapi/" + name): route for name, route in post.items()}

    def calls(self) -> Mapping[str, Route]:
        """Method of the request socket -> route."""
        routes = self.routes()
        names = {
            "account.balance": "v2/balance",
            "v2/account.balance": "v3/balance",
            "account.status": "v2/account",
            "v2/account.status": "v3/account",
            "account.position": "v2/positionRisk",
            "v2/account.position": "v3/positionRisk",
        }
        return {method: routes["GET", "/fapi/" + name] for method, name in names.items()}

    # -- balances

    def balance(self, ask: Ask) -> Any:
        wallet = self.desk.told(ask.who)
        settle = ask.who.settle(self.desk.wallet)
        answers = []
        for asset, held in sorted(wallet.balances.items()):
            margin = wallet.margin() if asset == settle else None
            free = money_text(wallet.available(asset))
            answers.append(
                {
                    "accountAlias": "SgsR",
                    "asset": asset,
                    "balance": money_text(held),
                    "crossWalletBalance": money_text(held),
                    "crossUnPnl": money_text(margin.unrealised if margin else 0),
                    "availableBalance": free,
                    "maxWithdrawAmount": free,
                    "marginAvailable": True,
                    "updateTime": self.desk.now_ms,
                }
            )
        return answers

    def account_v3(self, ask: Ask) -> Any:
        used = self._used(ask.who)
        return {
            **self._totals(ask.who),
            "assets": self._assets(ask.who),
            "positions": [self._position_v3(ask.who, terms) for terms in used],
        }

    def account_v2(self, ask: Ask) -> Any:
        account = ask.who
        return {
            "feeTier": 0,
            "feeBurn": False,
            "canTrade": "trade" in account.permissions,
            "canDeposit": True,
            "canWithdraw": "withdraw" in account.permissions,
            "updateTime": 0,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": -1,
            **self._totals(account),
            "assets": self._assets(account),
            "positions": [self._position_v2(account, each) for each in self.desk.terms.values()],
        }

    def _totals(self, account: Account) -> dict[str, str]:
        wallet = self.desk.told(account)
        settle = account.settle(self.desk.wallet)
        margin = wallet.margin()
        held = money_text(wallet.balances.get(settle, 0))
        free = money_text(wallet.available(settle))
        return {
            "totalInitialMargin": money_text(margin.initial),
            "totalMaintMargin": money_text(margin.maintenance),
            "totalWalletBalance": held,
            "totalUnrealizedProfit": money_text(margin.unrealised),
            "totalMarginBalance": money_text(margin.equity),
            "totalPositionInitialMargin": money_text(margin.position_initial),
            "totalOpenOrderInitialMargin": money_text(margin.initial - margin.position_initial),
            "totalCrossWalletBalance": held,
            "totalCrossUnPnl": money_text(margin.unrealised),
            "availableBalance": free,
            "maxWithdrawAmount": free,
        }

    def _assets(self, account: Account) -> list[dict[str, Any]]:
        wallet = self.desk.told(account)
        settle = account.settle(self.desk.wallet)
        assets = []
        for asset, held in sorted(wallet.balances.items()):
            margin = wallet.margin() if asset == settle else None
            initial, least = (margin.initial, margin.maintenance) if margin else (0, 0)
            position = margin.position_initial if margin else 0
            profit = margin.unrealised if margin else 0
            free = money_text(wallet.available(asset))
            assets.append(
                {
                    "asset": asset,
                    "walletBalance": money_text(held),
                    "unrealizedProfit": money_text(profit),
                    "marginBalance": money_text(held + profit),
                    "maintMargin": money_text(least),
                    "initialMargin": money_text(initial),
                    "positionInitialMargin": money_text(position),
                    "openOrderInitialMargin": money_text(initial - position),
                    "crossWalletBalance": money_text(held),
                    "crossUnPnl": money_text(profit),
                    "availableBalance": free,
                    "maxWithdrawAmount": free,
                    "marginAvailable": True,
                    "updateTime": self.desk.now_ms,
                }
            )
        return assets

    # -- positions

    def _used(self, account: Account, symbol: str = "") -> list[Terms]:
        """Instruments with a position or an open order."""
        return [
            terms
            for terms in self.desk.terms.values()
            if symbol in {"", terms.symbol}
            and (account.position(terms.floor).qty or account.orders(terms.floor))
        ]

    def risk_v3(self, ask: Ask) -> Any:
        symbol = ask.params.symbol(self.desk.terms).symbol if ask.params.text("symbol") else ""
        return [
            {
                **self._risk(ask.who, terms),
                **self._margins(ask.who.position(terms.floor)),
                "marginAsset": terms.instrument.quote,
                "adl": 1 if ask.who.position(terms.floor).qty else 0,
            }
            for terms in self._used(ask.who, symbol)
        ]

    def risk_v2(self, ask: Ask) -> Any:
        chosen = list(self.desk.terms.values())
        if ask.params.text("symbol"):
            chosen = [ask.params.symbol(self.desk.terms)]
        answers = []
        for terms in chosen:
            position = ask.who.position(terms.floor)
            cross = position.margin_mode == "cross"
            answers.append(
                {
                    **self._risk(ask.who, terms),
                    "leverage": str(position.leverage),
                    "maxNotionalValue": str(NOTIONAL_MAX),
                    "marginType": "cross" if cross else "isolated",
                    "isAutoAddMargin": "false",
                }
            )
        return answers

    def _risk(self, account: Account, terms: Terms) -> dict[str, Any]:
        position = account.position(terms.floor)
        wallet = account.wallet(terms.floor)
        entry = fixed(position.entry, 8)
        return {
            "symbol": terms.symbol,
            "positionSide": "BOTH",
            "positionAmt": terms.qty(position.qty),
            "entryPrice": entry,
            "breakEvenPrice": entry,
            "markPrice": money_text(terms.floor.mark),
            "unRealizedProfit": money_text(position.unrealised),
            "liquidationPrice": fixed(position.liquidation_price(wallet), 8),
            "isolatedMargin": "0",
            "isolatedWallet": "0",
            "notional": money_text(position.notional),
            "updateTime": self._updated_ms(position),
        }

    def _updated_ms(self, position: Position) -> int:
        return self.desk.shown_ms(position.updated_ns) if position.updated_ns else 0

    def _margins(self, position: Position) -> dict[str, str]:
        held = -(-abs(position.notional) // position.leverage)
        return {
            "initialMargin": money_text(position.initial_margin),
            "maintMargin": money_text(position.maintenance_margin),
            "positionInitialMargin": money_text(held),
            "openOrderInitialMargin": money_text(max(0, position.initial_margin - held)),
            "bidNotional": money_text(position.asked[1]),
            "askNotional": money_text(position.asked[-1]),
        }

    def _position_v3(self, account: Account, terms: Terms) -> dict[str, Any]:
        position = account.position(terms.floor)
        return {
            "symbol": terms.symbol,
            "positionSide": "BOTH",
            "positionAmt": terms.qty(position.qty),
            "unrealizedProfit": money_text(position.unrealised),
            "isolatedMargin": "0.00000000",
            "notional": money_text(position.notional),
            "isolatedWallet": "0",
            "initialMargin": money_text(position.initial_margin),
            "maintMargin": money_text(position.maintenance_margin),
            "updateTime": self._updated_ms(position),
        }

    def _position_v2(self, account: Account, terms: Terms) -> dict[str, Any]:
        position = account.position(terms.floor)
        entry = fixed(position.entry, 8)
        return {
            **self._position_v3(account, terms),
            **self._margins(position),
            "leverage": str(position.leverage),
            "isolated": position.margin_mode == "isolated",
            "entryPrice": entry,
            "breakEvenPrice": entry,
            "maxNotional": str(NOTIONAL_MAX),
        }

    # -- settings

    def commission(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        maker, taker = ask.who.fee_rates[terms.floor]
        return {
            "symbol": terms.symbol,
            "makerCommissionRate": money_text(maker, 6),
            "takerCommissionRate": money_text(taker, 6),
            "rpiCommissionRate": "0.000000",
        }

    def brackets(self, ask: Ask) -> Any:
        chosen = list(self.desk.terms.values())
        if ask.params.text("symbol"):
            chosen = [ask.params.symbol(self.desk.terms)]
        tier = {
            "bracket": 1,
            "initialLeverage": LEVERAGE_MAX,
            "notionalCap": NOTIONAL_MAX,
            "notionalFloor": 0,
            "maintMarginRatio": 1 / MAINTENANCE_DEN,
            "cum": 0.0,
        }
        return [{"symbol": terms.symbol, "brackets": [tier]} for terms in chosen]

    def order_limits(self, ask: Ask) -> Any:
        return self.desk.order_limits(ask.who)

    def symbol_config(self, ask: Ask) -> Any:
        chosen = list(self.desk.terms.values())
        if ask.params.text("symbol"):
            chosen = [ask.params.symbol(self.desk.terms)]
        words = {mode: word for word, mode in MARGIN_TYPES.items()}
        positions = ((terms, ask.who.position(terms.floor)) for terms in chosen)
        return [
            {
                "symbol": terms.symbol,
                "marginType": words[position.margin_mode],
                "isAutoAddMargin": False,
                "leverage": position.leverage,
                "maxNotionalValue": str(NOTIONAL_MAX),
            }
            for terms, position in positions
        ]

    def account_config(self, ask: Ask) -> Any:
        account = ask.who
        return {
            "feeTier": 0,
            "canTrade": "trade" in account.permissions,
            "canDeposit": True,
            "canWithdraw": "withdraw" in account.permissions,
            "dualSidePosition": account.hedge_mode,
            "updateTime": 0,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": -1,
        }

    def set_leverage(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        leverage = ask.params.need_integer("leverage")
        try:
            self.desk.exchange.set_leverage(ask.who, terms.floor, leverage, ask.now_ns)
        except Refusal as refusal:
            if refusal.kind is RefusalKind.MARGIN:
                raise Refused(-2028) from None
            if refusal.kind is not RefusalKind.NOT_CHANGED:
                raise Refused(-4028, leverage=leverage) from None
        return {
            "leverage": leverage,
            "maxNotionalValue": str(NOTIONAL_MAX),
            "symbol": terms.symbol,
        }

    def set_margin_type(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        mode = ask.params.word("marginType", MARGIN_TYPES, -1130)
        change = self.desk.exchange.set_margin_mode
        return self._set(
            ask, terms.floor, lambda: change(ask.who, terms.floor, mode, ask.now_ns),
            same=-4046, orders=-4047, position=-4048,
        )  # fmt: skip

    def position_mode(self, ask: Ask) -> Any:
        return {"dualSidePosition": ask.who.hedge_mode}

    def set_position_mode(self, ask: Ask) -> Any:
        on = self._flag(ask, "dualSidePosition")
        change = self.desk.exchange.set_hedge_mode
        return self._set(
            ask, None, lambda: change(ask.who, on, ask.now_ns),
            same=-4059, orders=-4067, position=-4068,
        )  # fmt: skip

    def multi_assets(self, ask: Ask) -> Any:
        return {"multiAssetsMargin": ask.who.multi_assets}

    def set_multi_assets(self, ask: Ask) -> Any:
        on = self._flag(ask, "multiAssetsMargin")
        change = self.desk.exchange.set_multi_assets
        return self._set(
            ask, None, lambda: change(ask.who, on, ask.now_ns),
            same=-4171, orders=-4067, position=-4068,
        )  # fmt: skip

    def _flag(self, ask: Ask, name: str) -> bool:
        ask.params.need(name)
        return bool(ask.params.flag(name))

    def _set(
        self,
        ask: Ask,
        floor: Floor | None,
        change: Callable[[], None],
        *,
        same: int,
        orders: int,
        position: int,
    ) -> Any:
        """Change a setting; the codes say that it is so already, or what stands against it."""
        try:
            change()
        except Refusal as refusal:
            if refusal.kind is RefusalKind.NOT_CHANGED:
                raise Refused(same) from None
            raise Refused(orders if self.desk.orders(ask.who, floor) else position) from None
        return OK

    # -- money that came and went

    def income(self, ask: Ask) -> Any:
        params = ask.params
        floor = params.symbol(self.desk.terms).floor if params.text("symbol") else None
        kind = params.text("incomeType")
        if kind and kind not in INCOME_TYPES:
            raise Refused(-1130, name="incomeType")
        start = params.integer("startTime", 0) or 0
        end = params.integer("endTime", 2**63) or 0
        lines = [
            line
            for line in self._incomes(ask.who, floor)
            if kind in {"", line["incomeType"]} and start <= line["time"] <= end
        ]
        lines.sort(key=lambda line: (line["time"], line["tranId"]))
        limit = limit_of(params, 100)
        return lines[:limit] if start else lines[-limit:]

    def _incomes(self, account: Account, floor: Floor | None) -> list[dict[str, Any]]:
        lines = []
        for fill in account.fills:
            if fill.order.floor not in self.desk.by_floor or floor not in {None, fill.order.floor}:
                continue
            name, trade = self.desk.by_floor[fill.order.floor].symbol, str(fill.trade_id)
            asset = fill.fee_asset
            lines.append(self._line(name, "COMMISSION", -fill.fee, asset, fill.ts_ns, trade))
            if fill.realised:
                profit = fill.realised
                lines.append(self._line(name, "REALIZED_PNL", profit, asset, fill.ts_ns, trade))
        for paid in account.payments:
            if paid.floor not in self.desk.by_floor or floor not in {None, paid.floor}:
                continue
            terms = self.desk.by_floor[paid.floor]
            asset = terms.instrument.quote
            line = self._line(terms.symbol, "FUNDING_FEE", paid.quanta, asset, paid.ts_ns, "")
            lines.append({**line, "tranId": paid.id})
        return lines

    def _line(
        self, symbol: str, kind: str, quanta: int, asset: str, ts_ns: int, trade: str
    ) -> dict[str, Any]:
        return {
            "symbol": symbol,
            "incomeType": kind,
            "income": money_text(quanta),
            "asset": asset,
            "info": kind if kind != "COMMISSION" else trade,
            "time": self.desk.shown_ms(ts_ns),
            "tranId": int(trade) if trade else 0,
            "tradeId": trade,
        }


__all__ = ["FuturesAccount"]
