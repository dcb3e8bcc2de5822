"""From the name or the path of a model to a `StyleModel` or `UpscaleModel`, each loaded once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from impasto.catalog import find_upscaler
from impasto.errors import ModelError, UnknownStyleError, UsageError, shell_word
from impasto.runtime.mixing import parse_blend
from impasto.runtime.styles import find_style, held_styles

if TYPE_CHECKING:
    from impasto.runtime.stylizer import StyleModel
    from impasto.runtime.upscaler import UpscaleModel

_KEPT_MODELS: Final = 4
_NO_STYLE: Final = "not a model: `impasto train {path}` makes it a style"
_NO_UPSCALER: Final = "not a model: give a model file, or a name such as photo"

_Model = TypeVar("_Model", "StyleModel", "UpscaleModel")

_models: OrderedDict[tuple[object, ...], Any] = OrderedDict()
_models_lock = threading.Lock()


def load_model(
    name_or_path: str | Path | None = None, *, threads: int | None = None, device: str = "auto"
) -> StyleModel:
    """Loads a style for `impasto.load_model`, or returns the one already loaded from the file.

    A blend such as ``"great_wave:0.7,udnie:0.3"`` is taken too, and of a file the first style.

    Raises:
        UnknownStyleError: there is neither a style nor a file of that name.
        ModelError: the file cannot be used.
        UsageError: there is no such device.
        MissingExtraError: it is OpenVINO, and that is not installed.
    """
    path, blend = _resolve(name_or_path)
    from impasto.runtime.stylizer import StyleModel

    model = _loaded(StyleModel, path, threads, device)
    if blend is None or len(model.metadata.styles) == 1:
        return model
    return model.with_blend(blend)


def load_upscaler(
    name_or_path: str | Path | None = None,
    *,
    scale: int = 2,
    threads: int | None = None,
    device: str = "auto",
) -> UpscaleModel:
    """Loads a super-resolution network, or returns the one already loaded from the same file.

    Args:
        name_or_path: ``"photo"``, ``"sharp"``, ``"faithful"`` or a model file; None is the
            first of these that there is for the scale.
        scale: 2, 4 or 8: what the model enlarges by unless a call says otherwise.
        threads: CPU threads for one picture; None takes every core.
        device: that of `load_model`.

    Raises:
        ModelError: there is neither a model of that name for the scale nor a file, or the file
            cannot be used.
        UsageError: the model cannot give that scale, or there is no such device.
    """
    path = upscaler_path(name_or_path, scale)
    from impasto.runtime.upscaler import UpscaleModel

    return _loaded(UpscaleModel, path, threads, device).with_scale(scale)


def _loaded(kind: type[_Model], path: Path, threads: int | None, device: str) -> _Model:
    """Loads a model file, or returns the model already loaded from it."""
    try:
        stat = path.stat()
    except OSError as error:
        raise ModelError(f"no such model file: {path}") from error
    key = (kind, path.resolve(), stat.st_mtime_ns, stat.st_size, threads, device)
    with _models_lock:
        if key not in _models:
            _models[key] = kind(path, threads=threads, device=device)
            if len(_models) > _KEPT_MODELS:
                _models.popitem(last=False)
        _models.move_to_end(key)
        model: _Model = _models[key]
        return model


def upscaler_path(name_or_path: str | Path | None, scale: int) -> Path:
    """Finds the model file that `load_upscaler` loads for a name or a path.

    Raises:
        ModelError: there is neither a model of that name for the scale nor a file.
        UsageError: there is no such scale.
    """
    if isinstance(name_or_path, Path):
        return _model_file(name_or_path, _NO_UPSCALER)
    try:
        return find_upscaler(name_or_path, scale).path
    except ModelError:
        if name_or_path is not None and _means_a_file(name_or_path):
            return _model_file(Path(name_or_path), _NO_UPSCALER)
        raise


def _resolve(name_or_path: str | Path | None) -> tuple[Path, dict[str, float] | None]:
    """Returns the model file, and the styles in it if they are named.

    Raises:
        UsageError: the styles of a blend lie in different files.
    """
    if name_or_path is None:
        style = find_style(None)
        return style.path, {style.name: 1.0}
    if isinstance(name_or_path, Path):
        return _model_file(name_or_path), None
    try:
        style = find_style(name_or_path)
    except UnknownStyleError:
        if _means_a_file(name_or_path):
            return _model_file(Path(name_or_path)), None
        if not set(name_or_path) & set(":,"):
            raise
        blend = parse_blend(name_or_path)
        return _file_of_all(list(blend)), blend
    # An own file may have been given another name than any style in it.
    renamed = style.origin == "own" and style.name not in held_styles(style.path)
    return style.path, None if renamed else {style.name: 1.0}


def _file_of_all(names: list[str]) -> Path:
    """Finds the one model file that the styles of a blend lie in.

    A style that was added to a model lies in a file with that model's styles, which by their
    names alone would be found in the model's.
    """
    paths = list(dict.fromkeys(find_style(name).path for name in names))
    if len(paths) == 1:
        return paths[0]
    for path in paths:
        if set(names) <= set(held_styles(path)):
            return path
    raise UsageError(
        f"the styles {', '.join(names)} lie in different model files; only styles of one file blend"
    )


def model_path(name_or_path: str | Path | None = None) -> Path:
    """Finds the model file that `load_model` loads: a style's name comes before a file's.

    Raises:
        UnknownStyleError: there is neither a style nor a file of that name.
        ModelError: the path is a picture, a folder, or is missing.
        UsageError: the styles of a blend lie in different files.
    """
    return _resolve(name_or_path)[0]


def _model_file(path: Path, picture_hint: str = _NO_STYLE) -> Path:
    """Refuses what is no file, or a picture, with what to do instead."""
    try:
        if path.is_dir():
            models = sorted(path.glob("*.onnx"))
            hint = f": the model in it is {models[0]}" if len(models) == 1 else ""
            raise ModelError(f"{path} is a folder, not a model file{hint}")
        if not path.exists():
            raise ModelError(f"no such model file: {path}")
    except OSError as error:  # a name that is too long, for example
        raise ModelError(f"cannot read model file {path}: {error.strerror or error}") from error
    if path.suffix.lower() != ".onnx":
        from impasto.images.reading import is_picture

        if is_picture(path):
            hint = picture_hint.format(path=shell_word(str(path)))
            raise ModelError(f"{path}: that is a picture, {hint}")
    return path


def _means_a_file(text: str) -> bool:
    # No style's name holds a separator, that of Windows included.
    return (
        any(separator in text for separator in "/\\")
        or text.lower().endswith(".onnx")
        or os.path.isfile(text)  # noqa: PTH113 (pathlib's raises where the name is too long)
    )
