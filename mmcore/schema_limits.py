"""Keys of the limits: of the account, and of one instrument."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from .keys import Key


class AccountConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits shared by all instruments of the run; they hold beside each instrument's own."""

    max_position_usd: Annotated[
        float | None,
        Key("quote", "sum of all positions' values", above=0, most=1e12, auto="no limit"),
    ] = None
    max_open_notional: Annotated[
        float | None,
        Key("quote", "sum of all open orders at their prices", above=0, most=1e12, auto="no limit"),
    ] = None
    max_loss: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost since start", above=0, auto="no limit"),
    ] = None
    max_drawdown: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost from the peak", above=0, auto="no limit"),
    ] = None
    rate_limit: Annotated[
        int | None,
        Key("requests/s", "all instruments together", least=1, most=4096, auto="no limit"),
    ] = None


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hard limits of one instrument; live, travelling and unknown orders count as filled."""

    max_position: Annotated[
        float | None,
        Key("base", "no order may lead beyond it", above=0, most=1e15, auto="the strategy's own"),
    ] = None
    max_open_notional: Annotated[
        float | None,
        Key("quote", "all open orders at their prices", above=0, most=1e12, auto="no limit"),
    ] = None
    max_order_size: Annotated[
        float | None, Key("base", "one order", above=0, most=1e15, auto="the venue's")
    ] = None
    max_orders: Annotated[
        int, Key("orders", "own orders open at once, both sides", least=2, most=160)
    ] = 160
    max_loss: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost since start", above=0, auto="no limit"),
    ] = None
    max_drawdown: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost from the peak", above=0, auto="no limit"),
    ] = None
    book_age_seconds_max: Annotated[
        float,
        Key("s", "an older book is stale: quotes are pulled; 0: never", least=0, most=86_400),
    ] = 60.0
