"""Settings that all tests share."""

import os

import pytest
from hypothesis import settings

# A deadline would time the machine, not the code.
settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")

NEEDS_PACKAGE = "needs Debian's "
"""How the reason of a skip begins that installing a package would end."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail in CI what is skipped elsewhere for lack of a package: CI installs all."""
    report = yield
    if report.skipped and os.environ.get("CI") and NEEDS_PACKAGE in str(call.excinfo):
        report.outcome = "failed"
    return report
