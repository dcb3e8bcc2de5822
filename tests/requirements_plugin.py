"""Pytest plugin: what a test needs, and whether it may be skipped without it.

A test that needs a GPU is marked ``@pytest.mark.gpu`` and skipped where there is
none. Any other skip is fine on a desk; with ``IMPASTO_REQUIRE=all`` in the
environment, as in continuous integration, it is a failure that names the reason.
"""

import os

import pytest

NO_GPU = "needs a GPU, and PyTorch finds none"


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a GPU that PyTorch can use (CUDA or MPS)")


def has_gpu():
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def pytest_collection_modifyitems(items):
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not has_gpu():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason=NO_GPU))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return forbid_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return forbid_skip(report)


def forbid_skip(report):
    """Turns a skip into a failure where everything but a GPU is required."""
    if os.environ.get("IMPASTO_REQUIRE") != "all":
        return report
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason != NO_GPU:
        report.outcome = "failed"
        report.longrepr = (
            f"skipped, but IMPASTO_REQUIRE=all allows that only without a GPU: {reason}"
        )
    return report
