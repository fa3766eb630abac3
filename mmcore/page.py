"""The page of a report: one HTML file that opens offline, with its charts and plotly inside."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from .charts import charts
from .exposure import exposed
from .report import Report, cannot_write, missing, report_of
from .words import counted, duration, exposure_words, money


def write_page(report: Report, path: Path) -> None:
    """Write the page.  UsageError without the extra ``report``; DataError where it cannot be."""
    text = page_of(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error


def write_pages(directories: Sequence[Path | str], path: Path) -> list[Path]:
    """The pages of run directories: the first at ``path``, ``out-2.html`` and so on beside it."""
    written = []
    for number, directory in enumerate(directories, 1):
        name = path.name if number == 1 else f"{path.stem}-{number}{path.suffix}"
        written.append(path.with_name(name))
        write_page(exposed(report_of(directory)), written[-1])
    return written


def page_of(report: Report) -> str:
    """The page as text.  Raises UsageError without the extra ``report``."""
    try:
        import jinja2
    except ImportError as error:
        raise missing("the page", "jinja2", "report") from error
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "money": _money, "number": _number, "share": _share, "lasting": _lasting, "pair": _pair,
        "bps": _bps, "counted": counted,
    }  # fmt: skip
    template = environment.from_string(_own("report.html"))
    figures = charts(report)
    text: str = template.render(
        **report.facts,
        exposure_words=exposure_words,
        figures=figures,
        figures_json=_in_script(orjson.dumps(figures).decode()),
        plotly=_plotly(),
    )
    return text


def require_extra() -> None:
    """Raise UsageError where the page could not be made, before a long run is begun."""
    for name in ("jinja2", "plotly"):
        if find_spec(name) is None:
            raise missing("the page", name, "report")


def _own(name: str) -> str:
    return files("mmcore").joinpath(name).read_text("utf-8")


def _plotly() -> str:
    """plotly.js out of the package of that name, which itself is slow to import."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise missing("the page", "plotly", "report")
    place = Path(spec.submodule_search_locations[0], "package_data", "plotly.min.js")
    try:
        return place.read_text("utf-8")
    except OSError as error:
        raise missing("the page", f"a plotly with {place.name}", "report") from error


def _in_script(text: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


# -- figures as text -------------------------------------------------------------------------

NONE = "n/a"


def _money(value: float | None, currency: str) -> str:
    return NONE if value is None else money(value, currency)


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return NONE
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g} %" if value == 0 else f"{value:.2%}"


def _bps(value: float | None) -> str:
    return NONE if value is None else f"{_number(value, 3)} bps"


def _lasting(value: float | None) -> str:
    return NONE if value is None else duration(value)


def _pair(values: Any) -> str:
    first, second = values
    return NONE if first is None else f"{duration(first)} · {duration(second)}"
