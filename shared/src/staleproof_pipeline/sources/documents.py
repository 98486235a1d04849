"""JSON texts inside records: read within bounds, with errors that name the field.

Numbers keep all their digits: whole ones are int, others Decimal, as the library's own reader has them. Strict JSON is
read first, which is fast. Then what JSON forbids and producers write all the same is let pass, since it is mostly in a
field that no rule names: `NaN`, halves of surrogate pairs.
"""

from __future__ import annotations

import base64
import binascii
import json
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from staleproof.errors import OversizedEventError
from staleproof_pipeline.sources.fields import wrong

MAX_BYTES = 8 * 1_048_576
"""More than an invocation's payload (6 MB); a broker that takes larger messages holds no changed rows."""


def _number(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        return float(text)


_STRICT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=_number)


def document(text: str | bytes, path: str) -> Any:
    """Return the value of the JSON *text*, which lies at *path*.

    Raises:
        MalformedEventError: it is no JSON in UTF-8.
        OversizedEventError: it has more than `MAX_BYTES`, or nests too deep.
    """
    if len(text) > MAX_BYTES:
        raise OversizedEventError(f"{path}: {len(text)} bytes exceed {MAX_BYTES}; send keys, not contents")
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise _too_deep(path) from None
    except (msgspec.DecodeError, UnicodeError):
        return _lenient(text, path)


def _lenient(text: str | bytes, path: str) -> Any:
    try:
        return json.loads(text, parse_float=_number)
    except RecursionError:
        raise _too_deep(path) from None
    except (
        ValueError
    ) as error:  # UnicodeDecodeError and JSONDecodeError among them; ints of thousands of digits too
        raise wrong(path, text, "JSON") from error


def _too_deep(path: str) -> OversizedEventError:
    return OversizedEventError(f"{path}: nested too deep to be read; send flat rows")


def decoded(text: Any, path: str) -> bytes:
    """Return the bytes that the base64 *text* at *path* stands for.

    Raises:
        MalformedEventError: it is no base64.
        OversizedEventError: it has more than `MAX_BYTES`.
    """
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise wrong(path, text, "base64")
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise OversizedEventError(f"{path}: {len(text)} characters of base64 exceed {MAX_BYTES} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong(path, text, "base64") from error
