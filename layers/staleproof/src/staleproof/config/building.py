"""From what was given to `Settings`: every value checked, every fault told, all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.config.kinds import READABLE, natural
from staleproof.config.settings import (
    BreakerSettings,
    MemorySettings,
    NearSettings,
    ServerSettings,
    Settings,
)
from staleproof.config.table import DEFAULTS, REQUIRED, SERVER, SETTINGS, Setting, field, setting, variable
from staleproof.errors import ConfigurationError
from staleproof.policies.policy import Policy

if TYPE_CHECKING:
    from staleproof.config.given import Given, Layer
    from staleproof.config.secret import Secret
    from staleproof.config.sources import Sources
    from staleproof.config.table import Check

_EXAMPLES = {"cache_url": "redis://127.0.0.1:6379/0", "namespace": "shop"}


def build(given: Layer, sources: Sources | None = None) -> Settings:
    """Return the settings that *given* describes.

    Raises:
        ConfigurationError: something is missing, wrong or unknown; one line for each fault.
    """
    draft = Draft(given)
    settings = draft.settings(sources)
    if draft.faults or settings is None:
        raise ConfigurationError("\n".join(draft.faults))
    return settings


class Draft:
    """Settings in the making.

    Attributes:
        faults: what is wrong so far, a line each.
    """

    def __init__(self, given: Layer) -> None:
        self.given = given
        self.faults: list[str] = []

    def settings(self, sources: Sources | None) -> Settings | None:
        """Return the settings, or None if anything is wrong; then `faults` say what."""
        names = self._sort()
        values = {path: self._value(each, path) for path, each in SETTINGS.items()}
        fields = self._fields("")
        policy = self._policy(fields, "")
        policies = {
            name: self._policy({**fields, **self._fields(f"policies.{name}.")}, f"policies.{name}.")
            for name in names["policies"]
        }
        providers = {name: self._server(f"providers.{name}.", values) for name in names["providers"]}
        self._check_reader("", values["cache_url"], values["reader_url"])
        if values["codec"] == "pickle" and not values["pickle_keys"]:
            self._fault("codec", "codec='pickle' needs keys that sign; set STALEPROOF_PICKLE_KEYS")
        if values["memory.max_entries"] is values["memory.max_bytes"] is None:
            self._fault(
                "memory.max_bytes", "memory.max_entries and memory.max_bytes are both none; memory has an end"
            )
        if self.faults:
            return None
        named = {"policy": policy, "policies": policies, "providers": providers}
        return _settings(values, **named, given=self.given, sources=sources)

    def _sort(self) -> dict[str, list[str]]:
        """Return the names of the policies and providers, and complain of what is no setting."""
        names: dict[str, set[str]] = {"policies": set(), "providers": set()}
        for path, given in self.given.items():
            table, _, rest = path.partition(".")
            fixed = path in SETTINGS or path in DEFAULTS
            if not fixed and setting(path) is None and not self._complain(path, given):
                continue
            if table in names and rest:
                names[table].add(rest.partition(".")[0])
        return {table: sorted(found) for table, found in names.items()}

    def _complain(self, path: str, given: Given) -> bool:
        """Say whether *path* is an empty table that stands for a policy or a provider, or note what is wrong."""
        from staleproof.config.unknown import complaint  # noqa: PLC0415 - seldom needed

        wrong = complaint(path, given)
        if wrong is not None:
            self.faults.append(wrong)
        return wrong is None

    def _value(self, setting: Setting, path: str, default: Any = None) -> Any:
        """Return the checked value of *setting*, or None if it is wrong."""
        given = self.given.get(path)
        if given is not None:
            return self._checked(setting.check, path, given)
        if setting.default is REQUIRED:
            self.faults.append(_missing(path))
            return None
        return default if setting.default is None else setting.check(setting.default, path)

    def _checked(self, check: Check, path: str, given: Given) -> Any:
        try:
            return check(given.value, path)
        except ConfigurationError as error:
            self._fault(path, _shown(str(error), path, given))
            return None

    def _fields(self, prefix: str) -> dict[str, Any]:
        """Return the fields of a policy that are given below *prefix*, checked."""
        return {
            name: self._checked(field(name), prefix + name, self.given[prefix + name])
            for name in DEFAULTS
            if prefix + name in self.given
        }

    def _policy(self, fields: dict[str, Any], prefix: str) -> Policy | None:
        """Return the policy of *fields*, those of the default policy included; None if some fault was found."""
        if self.faults:
            return None  # what is wrong by itself need not be told once more for what it means together
        try:
            return Policy(**fields)
        except ConfigurationError as error:
            own = [prefix + name for name in fields if name in str(error) and prefix + name in self.given]
            self._fault(own[0] if own else "", f"{prefix}{error}")
            return None

    def _server(self, prefix: str, values: dict[str, Any]) -> ServerSettings | None:
        columns = {
            name: self._value(column, prefix + name, values.get(name)) for name, column in SERVER.items()
        }
        self._check_reader(prefix, columns["url"], columns["reader_url"])
        readers = columns.pop("reader_url")
        return None if None in columns.values() else ServerSettings(**columns, reader_urls=readers or ())

    def _check_reader(self, prefix: str, url: Secret | None, readers: tuple[Secret, ...] | None) -> None:
        """Complain of replicas of a server that has none, or that are named twice."""
        address = url.reveal() if url is not None else ""
        if not readers or not address:
            return
        if not address.startswith(READABLE):
            self._fault(f"{prefix}reader_url", f"{prefix}reader_url: {url} has no replicas; leave it out")
        elif "reader=" in address.partition("?")[2]:
            self._fault(
                f"{prefix}reader_url",
                f"{prefix}reader_url: {url} says reader= already; leave one of them out",
            )

    def _fault(self, path: str, message: str) -> None:
        given = self.given.get(path)
        self.faults.append(message if given is None else f"{given.origin}: {message}")


def _settings(values: dict[str, Any], **named: Any) -> Settings:
    server = ServerSettings(
        values["cache_url"],
        values["namespace"],
        values["timeout"],
        values["max_connections"],
        values["restarts"],
        values["durability"],
        values["reader_url"],
    )
    plain = (
        "region",
        "off",
        "codec",
        "pickle_keys",
        "compression",
        "dictionaries",
        "unreachable",
        "reload_every",
    )
    return Settings(
        server=server,
        near=NearSettings(**_below("near.", values)),
        memory=MemorySettings(**_below("memory.", values)),
        breaker=BreakerSettings(**_below("breaker.", values)),
        **{name: values[name] for name in plain},
        **named,
    )


def _below(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {path.removeprefix(prefix): value for path, value in values.items() if path.startswith(prefix)}


def _missing(path: str) -> str:
    example = _EXAMPLES.get(path, _EXAMPLES["cache_url"])
    return f"{path} is not set; set {variable(path)}, such as {example}, or {path} in staleproof.toml"


def _shown(message: str, path: str, given: Given) -> str:
    """Return *message* with the value as it was written, or without it, if its source keeps it secret."""
    if given.secret:
        return f"{path} is wrong (a SecureString, not shown); {message.partition('; ')[2] or 'correct it'}"
    return message.replace(f"{path}={natural(given.value)!r}", f"{path}={given.value!r}")
