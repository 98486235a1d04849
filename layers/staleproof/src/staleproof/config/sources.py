"""`Sources`: where settings are read, and which source goes before which.

From the strongest to the weakest: arguments, `STALEPROOF_*` in the environment, the Parameter Store, the file, the
defaults. Where they lie is itself set, by arguments or environment, or in the file:

* the file is the `file` setting, or `staleproof.toml` in the working directory if there is one;
* the Parameter Store is read if a `stage` is set, or an `ssm_path` is.

Reading again takes arguments and environment as they were first, a file that has not changed as it was read last, and
the Parameter Store anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from staleproof.config import environment
from staleproof.config.building import build
from staleproof.config.given import Layer, arguments
from staleproof.config.table import LOCATORS, SETTINGS, variable
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.config.parameter_store import ParameterStore
    from staleproof.config.settings import Settings

    State = tuple[int, int, int]


class Sources:
    """Everything that may give settings.

    Args:
        environ: the environment; the process's own by default.
        parameters: the Parameter Store; one over boto3 by default, made only if it is asked.
        given: settings as arguments: `ttl="1m"`, `near={"max_copies": 500}`, `policies={"hot": {"ttl": "1m"}}`, and
            `file`, `stage`, `ssm_path` among them.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        parameters: ParameterStore | None = None,
        **given: Any,
    ) -> None:
        env = os.environ if environ is None else environ
        self._ambient = environment.ambient(env)
        self._fixed: Layer = {**environment.read(env), **arguments(given)}
        self._parameters = parameters
        self._file: tuple[str, State, Layer] | None = None

    def settings(self) -> Settings:
        """Read and check everything; see `Settings.from_env`."""
        return build(self.read(), self)

    def read(self) -> Layer:
        """Return what the sources give, each value from the strongest that gives one."""
        file = self._read_file()
        ssm = self._read_parameters({**file, **self._fixed})
        return {**self._ambient, **file, **ssm, **self._fixed}

    def _read_file(self) -> Layer:
        path = _located("file", self._fixed)
        if path is None:
            return {}
        state = _state(path)
        if state is None:
            if "file" in self._fixed or self._file is not None:
                raise ConfigurationError(
                    f"{path}: there is no such file; put it there, or set STALEPROOF_FILE to none"
                )
            return {}
        if self._file is None or self._file[:2] != (path, state):
            from staleproof.config import toml_file  # noqa: PLC0415 - the parser is needed only where a file is

            layer = toml_file.read(path)
            _refuse(layer, {"file"})
            self._file = (path, state, layer)
        return self._file[2]

    def _read_parameters(self, located: Layer) -> Layer:
        stage = _located("stage", located)
        path = _located("ssm_path", located)
        if path is None or (stage is None and "ssm_path" not in located):
            return {}
        if stage is None and "{stage}" in path:
            given = located["ssm_path"]
            raise ConfigurationError(
                f"{given.origin}: ssm_path={path!r} names a stage; set STALEPROOF_STAGE to it"
            )
        path = path.replace("{stage}", stage or "")
        if self._parameters is None:
            from staleproof.config.parameter_store import ParameterStore  # noqa: PLC0415

            self._parameters = ParameterStore()
        layer = self._parameters.read(path)
        _refuse(layer, LOCATORS)
        return layer


def _state(path: str) -> State | None:
    """Return what changes when the file at *path* does, None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib would be one more import for every start
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; make it readable, or set STALEPROOF_FILE"
        ) from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _located(path: str, layer: Layer) -> Any:
    """Return where *layer* says that a source lies."""
    given = layer.get(path)
    setting = SETTINGS[path]
    try:
        return setting.check(setting.default if given is None else given.value, path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{given.origin if given else 'default'}: {error}") from error


def _refuse(layer: Layer, paths: frozenset[str] | set[str]) -> None:
    for path in sorted(paths & layer.keys()):
        raise ConfigurationError(
            f"{layer[path].origin}: {path} says where settings lie and cannot lie there itself; set {variable(path)}"
        )
