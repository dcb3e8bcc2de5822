from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

def test_passes():
    pass

def test_without_browser():
    pytest.skip("no Chromium here")

@pytest.mark.gpu
def test_on_gpu():
    pass

@pytest.mark.gpu
def test_on_gpu_and_more():
    pytest.skip("no second GPU")

@pytest.mark.xfail(reason="known")
def test_known_failure():
    assert False
"""


@pytest.fixture
def suite(pytester):
    """A suite that loads the plugin, on a machine without a GPU."""
    plugin = Path(__file__).with_name("requirements_plugin.py").read_text(encoding="utf-8")
    pytester.makepyfile(
        requirements_plugin=plugin + "\n\ndef has_gpu():\n    return False\n",
        conftest='pytest_plugins = ["requirements_plugin"]',
    )
    pytester.syspathinsert()
    return pytester


def run(suite, *arguments):
    return suite.runpytest_subprocess("-ra", "--strict-markers", *arguments)


def test_skips_are_listed_with_their_reason(suite, monkeypatch):
    monkeypatch.delenv("IMPASTO_REQUIRE", raising=False)
    suite.makepyfile(SUITE)

    result = run(suite)

    result.assert_outcomes(passed=1, skipped=3, xfailed=1)
    result.stdout.fnmatch_lines_random(["SKIPPED*needs a GPU*", "SKIPPED*no Chromium here"])


def test_only_a_missing_gpu_may_skip_when_everything_is_required(suite, monkeypatch):
    monkeypatch.setenv("IMPASTO_REQUIRE", "all")
    suite.makepyfile(SUITE)

    result = run(suite)

    result.assert_outcomes(passed=1, skipped=2, failed=1, xfailed=1)
    result.stdout.fnmatch_lines_random(["SKIPPED*needs a GPU*", "FAILED*test_without_browser*"])
    assert "no Chromium here" in result.stdout.str()


def test_a_module_that_skips_itself_fails_when_everything_is_required(suite, monkeypatch):
    monkeypatch.setenv("IMPASTO_REQUIRE", "all")
    suite.makepyfile('import pytest\npytest.importorskip("no_such_package")\n')

    result = run(suite)

    assert result.ret != 0
    assert "no_such_package" in result.stdout.str()


def test_this_suite_uses_the_plugin(request):
    assert request.config.pluginmanager.has_plugin("requirements_plugin")
