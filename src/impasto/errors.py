"""Every error Impasto raises on purpose.

The tree::

    ImpastoError
    ├── UsageError               contradictory or out-of-range settings
    ├── ImageError               a picture that cannot be used
    │   ├── ImageReadError       missing, empty, truncated, not an image
    │   └── ImageTooLargeError   more pixels than the limit allows
    ├── VideoError               a clip that cannot be used
    ├── OutputError              a result that cannot be written
    │   └── TemporarySpaceError  no room for the temporary files of a large picture
    ├── ModelError               a model file that cannot be used
    │   ├── UnknownStyleError    no style of that name
    │   └── NewerFormatError     made by a newer impasto
    ├── DataError                a photo folder or archive that cannot be used
    ├── TrainingError            a run that cannot start or go on
    │   ├── ResumeError          a run folder that cannot be continued
    │   └── DivergedError        the loss is not finite or the output has collapsed
    ├── ExportError              the exported graph differs from the network
    ├── ClusterError             a batch on Ray that cannot start or go on
    └── MissingExtraError        an optional dependency is not installed

A message says what was given, what is allowed and what to do, in one line. The
command line prints it as it is and exits with ``exit_code``.
"""

from __future__ import annotations


class ImpastoError(Exception):
    """Base of all errors that Impasto raises on purpose.

    Attributes:
        exit_code: what the command line exits with: 2 for bad input, 1 for a failure.
    """

    exit_code = 2


class UsageError(ImpastoError):
    """Settings contradict each other or lie outside their range."""


class ImageError(ImpastoError):
    """A picture cannot be used."""


class ImageReadError(ImageError):
    """A picture is missing, empty, truncated or not an image."""


class ImageTooLargeError(ImageError):
    """A picture has more pixels than the limit allows."""


class VideoError(ImpastoError):
    """A clip is missing, damaged, or has no video."""


class OutputError(ImpastoError):
    """A result cannot be written."""

    exit_code = 1


class TemporarySpaceError(OutputError):
    """The temporary files of a large picture cannot be written."""


class ModelError(ImpastoError):
    """A model file cannot be used."""


class UnknownStyleError(ModelError):
    """There is no style of that name."""


class NewerFormatError(ModelError):
    """A model file was made by a newer version of Impasto."""


class DataError(ImpastoError):
    """A photo folder or archive cannot be used."""


class TrainingError(ImpastoError):
    """A training run cannot start or go on."""

    exit_code = 1


class ResumeError(TrainingError):
    """A run folder cannot be continued with these settings."""

    exit_code = 2


class DivergedError(TrainingError):
    """The loss is not finite or the output has collapsed to a constant."""


class ExportError(ImpastoError):
    """The exported graph does not reproduce the network."""

    exit_code = 1


class ClusterError(ImpastoError):
    """A batch on Ray cannot start or go on."""

    exit_code = 1


class MissingExtraError(ImpastoError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        """Names the extra and the line that installs it.

        Args:
            extra: the extra's name, for example ``"train"``.
            purpose: what needs it, for example ``"impasto train"``.
        """
        super().__init__(
            f"{purpose} needs the extra impasto[{extra}], which is not installed: "
            f"run `{install_line(extra)}` in a clone of the repository"
        )
        self.extra = extra


def install_line(extra: str) -> str:
    """Returns the command that installs an extra, quoted for every shell, that of Windows too."""
    return f'pip install ".[{extra}]"'


def shell_word(text: str) -> str:
    """Returns a text as one word of a command that a message shows, quoted where needed."""
    import os
    import shlex

    return shlex.quote(text) if os.name != "nt" else f'"{text}"'
