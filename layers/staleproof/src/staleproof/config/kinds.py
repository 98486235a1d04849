"""What may stand in a setting: checks that take a text or a native value, by the convention of policy fields.

The environment and the Parameter Store know texts only, TOML and arguments have types as well; every check takes
both. It returns the value as it is kept, or raises `ConfigurationError` that names the setting and the fix.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from staleproof.config.secret import HIDDEN, Secret, masked_url
from staleproof.errors import ConfigurationError
from staleproof.keys import Keyspace
from staleproof.policies.fields import life, switch, whole

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMES = (
    "redis://",
    "rediss://",
    "unix://",
    "memory://",
    "memcached://",
    "memcacheds://",
    "memcached+discovery://",
    "memcacheds+discovery://",
)
READABLE = ("redis://", "rediss://", "unix://")
NOTHING = frozenset({"none", "off"})
LEAST_KEY, MOST_KEYS = 32, 8
LONGEST_PERIOD = 86_400.0
LONGEST_TIMEOUT = 3_600.0

_WORDS = {
    "true": True,
    "on": True,
    "yes": True,
    "1": True,
    "false": False,
    "off": False,
    "no": False,
    "0": False,
}

# Compiled when first used, each: a start that is not given a size needs no pattern of sizes.
_REGION = r"(?a)[\w.-]{1,64}"
_PLACE = r"(?s)(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])?(?::(\d{1,5}))?(?:/\d*)?(?:\?.*)?"
_STAGE = r"(?a)[\w.-]+"
_SSM = r"(?a)(?:/[\w.-]+)+"
_SIZE = r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)"
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ADDRESS = "write redis://host:6379/0, or rediss:// for TLS"


def natural(value: Any) -> Any:
    """Return the number that a text spells, None for `none` and `off`, and anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in NOTHING:
        return None
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return value


def flag(value: Any, name: str) -> bool:
    """Take a boolean, or a word for one."""
    word = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(word, bool):
        raise ConfigurationError(f"{name}={value!r} is neither on nor off; write true or false")
    return switch(word, name)


def count(value: Any, name: str) -> int:
    """Take a whole number of 1 or more."""
    return whole(natural(value), name)


def tolerance(value: Any, name: str) -> int:
    """Take a whole number, of which 0 means never."""
    given = natural(value)
    return 0 if given is None or (type(given) is int and given == 0) else whole(given, name)


def period(value: Any, name: str) -> float:
    """Take a duration of a millisecond to a day, in seconds."""
    given = life(natural(value), name)
    if given > LONGEST_PERIOD:
        raise ConfigurationError(f"{name}={value!r} is more than a day; write a shorter one, such as '10s'")
    return given


def timeout(value: Any, name: str) -> float:
    """Take a duration that somebody may wait for a server, in seconds."""
    given = period(value, name)
    if given > LONGEST_TIMEOUT:
        raise ConfigurationError(f"{name}={value!r} is more than an hour; write a shorter one, such as '1s'")
    return given


def size(value: Any, name: str) -> int:
    """Take a number of bytes, or a text such as `64MB` (of a thousand) or `64MiB` (of 1,024)."""
    matched = re.fullmatch(_SIZE, value.strip()) if isinstance(value, str) else None
    if matched:
        return whole(int(float(matched[1]) * _UNITS[matched[2]]), name)
    given = natural(value)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigurationError(f"{name}={value!r} is no size; write bytes, or '64MB', '64MiB'")
    return given


def text(value: Any, name: str) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name}={value!r} is no text; write one, in quotes")
    return value


def namespace(value: Any, name: str) -> str:
    """Take the name of a namespace."""
    return Keyspace(text(value, name)).namespace


def region(value: Any, name: str) -> str:
    """Take the name of a region."""
    if not isinstance(value, str) or not re.fullmatch(_REGION, value):
        raise ConfigurationError(
            f"{name}={value!r} is no region; write 1 to 64 letters and digits, such as eu-west-1"
        )
    return value


def stage(value: Any, name: str) -> str:
    """Take the name of a stage, which may be part of a path."""
    if not isinstance(value, str) or not re.fullmatch(_STAGE, value):
        raise ConfigurationError(
            f"{name}={value!r} is no stage; write letters, digits, '.', '_' or '-', such as prod"
        )
    return value


def parameter_path(value: Any, name: str) -> str:
    """Take a path of the Parameter Store, in which `{stage}` may stand."""
    if not isinstance(value, str) or not re.fullmatch(_SSM, value.replace("{stage}", "stage")):
        raise ConfigurationError(f"{name}={value!r} is no path; write one such as /staleproof/{{stage}}")
    return value


def url(value: Any, name: str) -> Secret:
    """Take the address of a cache server; its password is never shown."""
    given = text(value, name) if isinstance(value, str) else ""
    shown = masked_url(given)
    if not given.startswith(SCHEMES):
        scheme = given.partition("://")[0] if "://" in given else HIDDEN
        raise ConfigurationError(f"{name} has the scheme {scheme!r}; use one of {', '.join(SCHEMES)}")
    scheme, _, rest = given.partition("://")
    credentials, _, place = rest.rpartition("@")
    if scheme.startswith("redis"):
        _check_place(place, credentials, f"{name}={shown!r}")
    return Secret(given, shown)


def reader_urls(value: Any, name: str) -> tuple[Secret, ...]:
    """Take addresses of replicas, in a list or separated by commas; none by `none`."""
    given = value.split(",") if isinstance(value, str) else value
    if given is None or (isinstance(value, str) and value.strip().lower() in NOTHING):
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ConfigurationError(f"{name} is no address; {_ADDRESS}")
    found = tuple(url(each.strip(), name) for each in given)
    for each in found:
        if not each.reveal().startswith(READABLE):
            raise ConfigurationError(f"{name}={str(each)!r}: only Valkey and Redis have replicas; {_ADDRESS}")
    return found


def paths(value: Any, name: str) -> tuple[str, ...]:
    """Take paths of files, in a list or separated by commas; none by `none`."""
    given = value.split(",") if isinstance(value, str) else value
    if given is None or (isinstance(value, str) and value.strip().lower() in NOTHING):
        return ()
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{name}={value!r} is no path; write one, or several separated by commas")
    return tuple(text(each, name).strip() for each in given)


def _check_place(place: str, credentials: str, what: str) -> None:
    if set(credentials) & set("/?#"):
        raise ConfigurationError(
            f"{what}: a password with '/', '?' or '#' in it must be percent-encoded; {_ADDRESS}"
        )
    matched = re.fullmatch(_PLACE, place)
    if matched is None or (matched[1] and not 0 < int(matched[1]) < 2**16):
        raise ConfigurationError(f"{what} is no address; {_ADDRESS}")


def signing_keys(value: Any, name: str) -> tuple[Secret, ...]:
    """Take keys, in a list or separated by commas; the first signs, all are accepted."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ConfigurationError(f"{name}={HIDDEN} is no list of texts; write keys separated by commas")
    keys = [each.strip() for each in given]
    if len(keys) > MOST_KEYS:
        raise ConfigurationError(f"{name}: there are {len(keys)}; keep {MOST_KEYS}, the first of which signs")
    for place, key in enumerate(keys, 1):
        if len(key) < LEAST_KEY:
            raise ConfigurationError(
                f"{name}: key {place} of {len(keys)} has {len(key)} characters; use {LEAST_KEY} or more random ones"
            )
    return tuple(Secret(each) for each in keys)


def optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Take what *check* takes, or None, which texts write as `none` or `off`."""

    def taken(value: Any, name: str) -> Any:
        nothing = value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)
        return None if nothing else check(value, name)

    return taken
