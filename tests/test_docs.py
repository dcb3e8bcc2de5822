import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])


@pytest.fixture
def make_docs(monkeypatch):
    """scripts/make_docs.py as a module of its own, to be changed freely."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "api.md", "models.md"])
def test_generated_pages_say_what_the_code_says(make_docs, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERMINAL_WIDTH", "40")
    path = ROOT / "docs" / name
    assert path.read_text(encoding="utf-8") == make_docs.pages()[path], (
        "run `python scripts/make_docs.py`"
    )


def test_check_names_a_stale_page_and_writes_nothing(make_docs, tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    pages = {tmp_path / "docs" / "a.md": "new\n", tmp_path / "docs" / "b.md": "same\n"}
    for path in pages:
        path.write_text("same\n", encoding="utf-8")
    monkeypatch.setattr(make_docs, "ROOT", tmp_path)
    monkeypatch.setattr(make_docs, "pages", lambda: pages)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["make_docs.py", *arguments])
        with pytest.raises(SystemExit) as caught:
            make_docs.main()
        return caught.value.code, *capsys.readouterr()

    code, out, err = run("--check")
    assert (code, out) == (1, "")
    assert "docs/a.md is stale" in err
    assert "b.md" not in err
    assert run() == (0, "docs/a.md\n", "")
    assert (tmp_path / "docs" / "a.md").read_text(encoding="utf-8") == "new\n"
    assert run("--check") == (0, "", "")


def test_docstrings_become_markdown(make_docs):
    docstring = """Does it.

    The way::

        as it is

    Args:
        size: how much,
            in ``px``.
        *more: what else.

    Returns:
        A word: or two.

    The end."""
    assert make_docs.markdown(docstring.replace("\n    ", "\n")).splitlines() == [
        "Does it.",
        "",
        "The way:",
        "",
        "    as it is",
        "",
        "**Args**",
        "",
        "- `size`: how much,",
        "  in `px`.",
        "- `*more`: what else.",
        "",
        "**Returns**",
        "",
        "A word: or two.",
        "",
        "The end.",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in headings(linked.read_text(encoding="utf-8")), target


def headings(text):
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_committed_picture_is_shown_somewhere():
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert f"images/{picture.name})" in shown, picture.name
