"""Letters in a text, one a line: a file, or an object of S3.

The text is written once, when the store is closed, and as a whole: who dies before has changed nothing.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from staleproof.aws.clients import translated
from staleproof.errors import ConfigurationError
from staleproof_pipeline.dead_letter import MAX_LETTER, bodies
from staleproof_pipeline.redriving.store import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.dead_letter import DeadLetter

MAX_TEXT = 512 * 1_024 * 1_024
PAGE = 100


class Text(Protocol):
    """Where the lines are."""

    def read(self) -> bytes:
        """Return all of it."""
        ...

    def write(self, raw: bytes, read: int) -> None:
        """Put *raw* where the first *read* bytes were."""
        ...


class FileText:
    """A file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """See `Text.read`."""
        try:
            if self._path.stat().st_size > MAX_TEXT:
                raise ConfigurationError(f"{self._path}: it has more than {MAX_TEXT} bytes; split it")
            return self._path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}; name a file of letters") from error

    def write(self, raw: bytes, read: int) -> None:
        """See `Text.write`. What somebody has added meanwhile stays behind it."""
        added = self.read()[read:]
        path = self._path.resolve()  # of a link, what it leads to
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as made:
            made.write(raw + added)
            made.flush()
            os.fsync(made.fileno())
        Path(made.name).chmod(path.stat().st_mode)
        Path(made.name).replace(path)


class ObjectText:
    """An object of S3.

    Args:
        client: a boto3 client of `s3`.
        bucket: its bucket.
        key: its key.
    """

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._where = f"s3://{bucket}/{key}"
        self._etag = ""

    def read(self) -> bytes:
        """See `Text.read`."""
        with translated(self._where):
            answer = self._client.get_object(**self._place)
            if answer["ContentLength"] > MAX_TEXT:
                raise ConfigurationError(f"{self._where}: it has more than {MAX_TEXT} bytes; split it")
            self._etag = answer["ETag"]
            return bytes(answer["Body"].read())

    def write(self, raw: bytes, read: int) -> None:
        """See `Text.write`. An object that somebody has written meanwhile stays as it is."""
        del read
        with translated(self._where):
            if raw:
                self._client.put_object(**self._place, Body=raw, IfMatch=self._etag)
            else:
                self._client.delete_object(**self._place, IfMatch=self._etag)


class LineStore:
    """A `LetterStore`.

    Args:
        text: has the lines.
    """

    def __init__(self, text: Text) -> None:
        self._text = text
        self._lines: list[str] | None = None
        self._size = self._at = 0
        self._gone: set[int] = set()
        self._added: list[str] = []

    def take(self) -> list[Held]:
        """See `LetterStore.take`."""
        lines = self._read() if self._lines is None else self._lines
        begun, self._at = self._at, min(self._at + PAGE, len(lines))
        taken = [(number, lines[number]) for number in range(begun, self._at) if lines[number].strip()]
        if not taken and self._at < len(lines):
            return self.take()
        return [Held(f"line {number + 1}", (line,), (str(number),)) for number, line in taken]

    def remove(self, held: Sequence[Held]) -> None:
        """See `LetterStore.remove`."""
        self._gone.update(int(receipt) for each in held for receipt in each.receipts)

    def replace(self, held: Held, letters: Sequence[DeadLetter]) -> None:
        """See `LetterStore.replace`."""
        self._added += [body for each in letters for body in bodies(each, MAX_LETTER)]
        self.remove([held])

    def release(self, held: Sequence[Held]) -> None:
        """See `LetterStore.release`."""

    def close(self) -> None:
        """See `LetterStore.close`."""
        if self._gone:
            lines = self._lines or []
            left = [line for number, line in enumerate(lines) if line.strip() and number not in self._gone]
            text = "".join(f"{line}\n" for line in [*left, *self._added])
            self._text.write(text.encode(errors="surrogateescape"), self._size)
            self._gone.clear()

    def _read(self) -> list[str]:
        raw = self._text.read()
        self._size = len(raw)
        self._lines = raw.decode(errors="surrogateescape").split("\n")
        return self._lines
