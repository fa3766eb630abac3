"""The cases of the venue contract explain themselves when they fail, as if they stood here."""

import pytest

pytest.register_assert_rewrite("mmcore.testing")
