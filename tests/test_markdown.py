from impasto.markdown import MarkdownTable, table_lines


def test_a_table_grows_row_by_row():
    table = MarkdownTable(["photo", "kept"], [6, 5], title="A title")
    assert list(table.row(["a.jpg", "0.5"])) == [
        "A title",
        "",
        "| photo  |  kept |",
        "| ------ | ----: |",
        "| a.jpg  |   0.5 |",
    ]
    assert list(table.row(["long.jpg", "1"])) == ["| long.jpg |     1 |"]


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [["x|y", "1", "-"], ["z\nz", "23", "a"]]
    lines = list(table_lines(["", "n", "fails"], rows, texts=(0, 2)))
    assert lines == [
        "|      |   n | fails |",
        "| ---- | --: | ----- |",
        "| x\\|y |   1 | -     |",
        "| z z  |  23 | a     |",
    ]
