"""A Parameter Store in a dictionary, for tests that need no emulator. A contract test holds it against the emulator."""

from __future__ import annotations

from typing import Any

KINDS = {"SecureString", "String"}


class Parameters:
    """What `get_parameters_by_path` of a boto3 client answers, ten parameters a page as AWS does.

    Attributes:
        held: value and type by name.
        asked: how many pages were asked for.
        failing: raised instead of an answer, if not None.
    """

    def __init__(self, held: dict[str, str] | None = None) -> None:
        self.held = {name: (value, "String") for name, value in (held or {}).items()}
        self.asked = 0
        self.failing: Exception | None = None

    def put(self, name: str, value: str, kind: str = "String") -> None:
        """Store a parameter, over one that may be there."""
        assert kind in KINDS
        self.held[name] = (value, kind)

    def get_parameters_by_path(self, **asked: Any) -> dict[str, Any]:
        """Answer one page: everything below a path, secrets in clear."""
        assert asked.keys() <= {"Path", "Recursive", "WithDecryption", "MaxResults", "NextToken"}
        assert asked["Recursive"]
        assert asked["WithDecryption"]
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        names = [name for name in sorted(self.held) if name.startswith(asked["Path"].rstrip("/") + "/")]
        start = int(asked.get("NextToken", "0"))
        end = start + min(asked["MaxResults"], 10)
        page = [
            {"Name": name, "Value": self.held[name][0], "Type": self.held[name][1]}
            for name in names[start:end]
        ]
        return {"Parameters": page, **({"NextToken": str(end)} if end < len(names) else {})}
