"""Keys of what the venue would say about an instrument."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from .keys import Key


class SpecConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the venue would say about the instrument; needed where mmcore does not know it.

    Decimals are kept as text, so that 0.1 stays exactly 0.1.
    """

    tick: Annotated[str | None, Key("quote", "price step", above=0, auto="table")] = None
    lot: Annotated[str | None, Key("base", "size step of orders", above=0, auto="table")] = None
    qty_decimals: Annotated[
        int | None,
        Key("digits", "of the finest size on the wire", least=0, most=18, auto="those of the lot"),
    ] = None
    min_qty: Annotated[str | None, Key("base", "smallest order", least=0, auto="one lot")] = None
    max_qty: Annotated[str | None, Key("base", "largest; 0: none", least=0, auto="table")] = None
    min_notional: Annotated[
        str | None, Key("quote", "smallest order value; 0: none", least=0, auto="table")
    ] = None
    contract_size: Annotated[
        str | None,
        Key("base, or quote a contract (inverse)", "worth of 1.0 of size", above=0, auto="1"),
    ] = None
    kind: Annotated[
        Literal["linear", "inverse", "spot"] | None,
        Key("choice", "how money is counted", auto="table"),
    ] = None
    sig_figs: Annotated[
        int | None,
        Key("digits", "significant figures of a price; 0: any", least=0, most=12, auto="table"),
    ] = None
    price_step: Annotated[str | None, Key("quote", "step of orders", above=0, auto="tick")] = None
    base: Annotated[str | None, Key("name", "asset that is bought and sold", auto="table")] = None
    quote: Annotated[str | None, Key("name", "asset of the price", auto="table")] = None
    maker_fee_bps: Annotated[
        float | None,
        Key("bps of the notional", "negative is a rebate", least=-100, most=1000, auto="base tier"),
    ] = None
    taker_fee_bps: Annotated[
        float | None,
        Key("bps of the notional", "as maker_fee_bps", least=-100, most=1000, auto="base tier"),
    ] = None
