"""The venue contract: failures explain themselves, and only the quick cases run by default."""

import pytest

pytest.register_assert_rewrite("mmcore.testing")

QUICK = range(1, 22)  # numbers of cases: what is asked of a good line


def pytest_collection_modifyitems(items):
    from mmcore.testing import VenueContract

    for item in items:
        contract = item.cls is not None and issubclass(item.cls, VenueContract)
        if contract and int(item.name.split("_")[1]) not in QUICK:
            item.add_marker(pytest.mark.slow)
