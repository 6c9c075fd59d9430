"""Everything that can go wrong, as one tree.

PipelineError
├── ReadError                 a file could not be read
│   ├── UnsupportedFormatError    nothing here reads such a file
│   └── LimitError                the file exceeds a bound of the settings
├── ExtractionError           the file was read, but is not what was expected
├── ModelNotFoundError        a model folder is missing or damaged
├── DataError                 a line, a workbook or a settings file is malformed
├── WriteError                an output file cannot be written (open elsewhere, read-only, disk full)
└── StoreError                the store cannot be opened or is of another version

Messages are written for the person at the keyboard: in Chinese, with the file, the page and the next step.
"""

from __future__ import annotations

from pathlib import Path


class PipelineError(Exception):
    """Base of every error that this package raises on purpose."""


class ReadError(PipelineError):
    """A file could not be read.

    Args:
        path: the file.
        reason: what is wrong, in Chinese.
        page: the page, counted from 1, where known.
        advice: the next step for the user.

    Example:
        >>> str(ReadError("报告.pdf", "文件已加密", advice="请先解除密码"))
        '报告.pdf：文件已加密。请先解除密码。'
    """

    def __init__(self, path: str | Path, reason: str, page: int | None = None, advice: str = "") -> None:
        self.path = str(path)
        self.reason = reason
        self.page = page
        self.advice = advice
        where = self.path if page is None else f"{self.path} 第{page}页"
        message = f"{where}：{reason.rstrip('。')}。"
        if advice:
            message += f"{advice.rstrip('。')}。"
        super().__init__(message)


class UnsupportedFormatError(ReadError):
    """Nothing here reads such a file."""


class LimitError(ReadError):
    """The file exceeds a bound of the settings (bytes, pages, pixels, seconds, memory)."""


class ExtractionError(PipelineError):
    """The file was read, but holds no task table, no passages, or not what was expected."""


class ModelNotFoundError(PipelineError):
    """A model folder is missing or damaged."""


class DataError(PipelineError):
    """A line of data, a workbook or a settings file is malformed."""


class WriteError(PipelineError):
    """An output file cannot be written: open in another program, read-only, or the disk is full."""


class StoreError(PipelineError):
    """The store cannot be opened, or was made by another version."""
