"""Values that no dial takes, made from the dials' own ranges, and what is said of them."""

from impasto.dials import Choice, Number, PictureFile, Size, Switch, Text, dials_of

OTHERS = {
    Switch: (("-1", "2", "perhaps", ""), "be true or false"),
    PictureFile: (("",), "be the file of a picture"),
    Text: (("x" * 1001,), "be a text of at most 1000 characters"),
}


def bad_texts(dial):
    """Yields texts below, above, of another kind and empty, each with what is said of it."""
    if isinstance(dial, Size):
        for text in ("0MiB", "-1GiB", "1048577GiB", "1e9GiB", "5", "much", ""):
            yield text, f"must be a size such as 512MiB or 2GiB, not {text!r}"
    elif isinstance(dial, Number):
        for value in (*bad_numbers(dial), "much", "", *(["1.5"] if dial.kind is int else [])):
            yield str(value), said_of(dial, value)
    elif isinstance(dial, Choice):
        *others, last = map(str, dial.choices)
        numbers = isinstance(dial.choices[0], int)
        for value in (*((0, 99) if numbers else ("0", "gif")), "much", ""):
            yield str(value), f"must be {', '.join(others)} or {last}, not {value!r}"
    else:
        texts, rule = OTHERS[type(dial)]
        for text in texts:
            yield text, f"must {rule}, not {text!r:.60}"


def bad_values(dial):
    """Yields the same for Python, where numbers are numbers."""
    for text, told in bad_texts(dial):
        if isinstance(dial, Size):
            yield text, f"must be a whole number of at least 0, not {text!r}"
        elif isinstance(dial, Choice) and text.isdigit():
            yield type(dial.choices[0])(text), told
        elif not isinstance(dial, Number) or told == said_of(dial, text):
            yield text, told
    if isinstance(dial, Number):
        for value in bad_numbers(dial):
            yield value, said_of(dial, value)


def bad_numbers(dial):
    step = 1 if dial.kind is int else 0.5
    yield dial.least - step
    if dial.most is not None:
        yield dial.most + step
    if dial.kind is float:
        yield from (float("nan"), float("inf"))


def said_of(dial, value):
    most = "" if dial.most is None else f"{dial.most:g}"
    if isinstance(value, str):
        kind = "a number" if dial.kind is float else "a whole number"
        place = f"from {dial.least:g} to {most}" if most else f"of at least {dial.least:g}"
        return f"must be {kind} {place}, not {value!r}"
    value = dial.kind(value)
    if most:
        return f"must lie between {dial.least:g} and {most}, not {value!r}"
    return f"must be at least {dial.least:g}, not {value!r}"


def cases(kind, bad):
    """Yields the name of each dial of a class with each bad value and what is said of it."""
    for name, dial in dials_of(kind).items():
        for value, told in bad(dial):
            yield name, value, told
