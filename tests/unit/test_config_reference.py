"""docs/configuration.md and the schema say the same; ``python`` this file to rewrite the tables."""

import re
from pathlib import Path

import pytest
from msgspec import Struct

from mmcore.faults import bounds_text, toml_text
from mmcore.keys import Field, fields
from mmcore.schema import (
    AccountConfig,
    Config,
    FeesConfig,
    FeeTierConfig,
    GridConfig,
    InstrumentConfig,
    InventorySkewConfig,
    LimitsConfig,
    LiveConfig,
    MarketConfig,
    RunConfig,
    SimulationConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
    WeightsConfig,
)

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TABLES: dict[str, type[Struct]] = {
    "top": Config,
    "market": MarketConfig,
    "live": LiveConfig,
    "run": RunConfig,
    "simulation": SimulationConfig,
    "account": AccountConfig,
    "instrument": InstrumentConfig,
    "instrument.grid": GridConfig,
    "instrument.grid.weights": WeightsConfig,
    "instrument.two_sided": TwoSidedConfig,
    "instrument.two_sided.inventory_skew_config": InventorySkewConfig,
    "instrument.limits": LimitsConfig,
    "instrument.spec": SpecConfig,
    "instrument.fees": FeesConfig,
    "instrument.fees.tiers": FeeTierConfig,
    "instrument.synthetic": SyntheticConfig,
}
BLOCK = re.compile(r"<!-- keys: (?P<name>[\w.]+) -->\n(?P<table>.*?)\n?<!-- end -->", re.DOTALL)


def is_table(field: Field) -> bool:
    return field.key.unit in {"table", "tables"}


def default_of(field: Field) -> str:
    if field.needed:
        return "needed"
    if field.default is None:
        return f"absent: {field.key.auto}"
    return f"`{toml_text(field.default)}`"


def unit_of(field: Field) -> str:
    choices = getattr(field.kind, "__args__", ())
    if field.key.unit == "choices":
        choices = choices[0].__args__
    if field.key.unit in {"choice", "choices"}:
        return ", ".join(f"`{choice}`" for choice in choices)
    bounds = bounds_text(field)
    return field.key.unit + (f"; {bounds}" if bounds else "")


def table_of(struct: type[Struct]) -> str:
    rows = [
        f"| `{field.name}` | {unit_of(field)} | {default_of(field)} | {field.key.why} |"
        for field in fields(struct)
        if not is_table(field)
    ]
    return "\n".join(["| key | unit, range | default | why |", "| --- | --- | --- | --- |", *rows])


def test_every_table_of_the_schema_stands_on_the_page():
    found = {match["name"] for match in BLOCK.finditer(PAGE.read_text("utf-8"))}
    assert found == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_says_what_the_schema_says(name):
    tables = {match["name"]: match["table"] for match in BLOCK.finditer(PAGE.read_text("utf-8"))}
    assert tables[name] == table_of(TABLES[name])


@pytest.mark.parametrize("name", TABLES)
def test_every_key_has_a_unit_and_a_reason(name):
    for field in fields(TABLES[name]):
        assert field.key.unit and field.key.why, f"{name}.{field.name}"
        assert field.default is not None or field.key.auto, f"{name}.{field.name}"


def test_every_table_of_the_schema_is_listed_here():
    def below(struct):
        yield struct
        for field in fields(struct):
            for part in (field.kind, *getattr(field.kind, "__args__", ())):
                if isinstance(part, type) and issubclass(part, Struct):
                    yield from below(part)

    assert set(below(Config)) == set(TABLES.values())


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    PAGE.write_text(
        BLOCK.sub(lambda m: f"<!-- keys: {m[1]} -->\n{table_of(TABLES[m[1]])}\n<!-- end -->", text),
        "utf-8",
    )
