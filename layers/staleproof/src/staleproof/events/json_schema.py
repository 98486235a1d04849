"""JSON Schemas (draft 2020-12) of what applications publish, for other languages; made of the classes themselves.

    python -m staleproof.events.json_schema        # prints where each lies, and whether it is as the classes say
    python -m staleproof.events.json_schema write  # writes those that are not

A file is called after its kind and schema version, `change-1.json`. It says more than a message must obey to be read:
what it does not know may be there, since fields are added (`staleproof.events.compatibility`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from staleproof.events.change import KINDS, SCHEMA

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).with_name("schemas")


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of *kind*, `change` or `invalidate`."""
    cls = KINDS[kind]
    _, components = msgspec.json.schema_components([cls])
    made = components[cls.__name__]
    head = {
        "$schema": DRAFT,
        "$id": f"urn:staleproof:{kind}:{SCHEMA}",
        "title": cls.__name__,
        "description": (cls.__doc__ or "").partition("\n")[0],
        "type": "object",
    }
    required = [name for name in made["properties"] if name in {*made["required"], "schema"}]
    somewhere = {"anyOf": _named()} if kind == "invalidate" else {}
    return {**head, "properties": made["properties"], "required": required, **somewhere}


def _named() -> list[dict[str, Any]]:
    """Something is named: at least one tag, or one key."""
    return [{"required": [each], "properties": {each: {"minItems": 1}}} for each in ("tags", "keys")]


def path(kind: str) -> Path:
    """Return where the schema of *kind* lies."""
    return FOLDER / f"{kind}-{SCHEMA}.json"


def text(kind: str) -> str:
    """Return the schema of *kind* as its file has it."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def current(kind: str) -> bool:
    """Say whether the file of *kind* is as the classes say."""
    return path(kind).is_file() and path(kind).read_text() == text(kind)


def main(arguments: list[str]) -> int:
    """Print, or write, every schema; return the exit code, 1 if a file is not as the classes say."""
    stale = [kind for kind in KINDS if not current(kind)]
    for kind in stale if arguments == ["write"] else ():
        path(kind).write_text(text(kind))
    for kind in KINDS:
        sys.stdout.write(f"{path(kind)}: {'current' if current(kind) else 'not as the classes say'}\n")
    return 0 if all(map(current, KINDS)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
