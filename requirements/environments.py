"""Make a virtual environment from its lock, once, and again only when what it is made of changes.

    python3 requirements/environments.py dev [emulator sam peers]

Theory of operation: an environment is described by a digest of its lock, of the package descriptions installed
into it and of the interpreter. The digest is written into the environment *after* everything is installed, and
removed before anything is touched, so an interrupted run is noticed by the next one. One file lock an
environment makes parallel callers wait for the first instead of installing over each other. A changed lock is
applied in place, so that what runs from the environment meanwhile keeps running.

Only the standard library is used: nothing is installed yet when this runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LEAST_PYTHON = (3, 11)
KEPT = {"pip", "setuptools", "wheel"}


class Environment(NamedTuple):
    """A virtual environment: where it lies, and the packages of this repository that it holds editable."""

    name: str
    path: Path
    packages: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """The file that pins every package by version and hash."""
        return ROOT / "requirements" / f"{self.name}.lock"

    @property
    def stamp(self) -> Path:
        """The digest of what the environment was made of, present only if it is whole."""
        return self.path / ".made-of"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"


ENVIRONMENTS = {
    "dev": Environment("dev", ROOT / ".venv", ("layers/staleproof", "shared")),
    "emulator": Environment("emulator", ROOT / ".venvs" / "emulator"),
    "sam": Environment("sam", ROOT / ".venvs" / "sam"),
    "peers": Environment("peers", ROOT / ".venvs" / "peers"),
}


def ensure(environment: Environment) -> None:
    """Make *environment*, or bring it up to date, unless it already is.

    Raises:
        SystemExit: Python lacks what is needed, or an installation failed; the message says what to do.
    """
    wanted = digest(environment)
    with locked(environment):
        if made_of(environment) == wanted:
            return
        say(f"making {environment.path.relative_to(ROOT)} from {environment.lock.relative_to(ROOT)}")
        environment.stamp.unlink(missing_ok=True)
        if not usable(environment):
            create(environment)
        install(environment)
        remove_others(environment)
        environment.stamp.write_text(wanted)


def digest(environment: Environment) -> str:
    """Return what *environment* is made of, as one hexadecimal digest."""
    made = hashlib.sha256(f"{sys.version_info[:2]} {environment.path}".encode())
    described = [ROOT / package / "pyproject.toml" for package in environment.packages]
    for file in (environment.lock, Path(__file__), *described):
        made.update(hashlib.sha256(file.read_bytes()).digest())
    return made.hexdigest()


def made_of(environment: Environment) -> str:
    """Return the digest that *environment* was made with, "" if it is absent or was left half made."""
    try:
        return environment.stamp.read_text() if environment.python.exists() else ""
    except FileNotFoundError:
        return ""


@contextmanager
def locked(environment: Environment) -> Iterator[None]:
    """Hold *environment* against other processes.

    What this process starts inherits the lock, so a pip that outlives a killed parent is waited for as well; the
    kernel lets go when the last of them ends, however it ends.
    """
    folder = ROOT / ".venvs"
    folder.mkdir(exist_ok=True)
    with (folder / f".{environment.name}.lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - takes no keyword
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def usable(environment: Environment) -> bool:
    """Say whether *environment* has a working pip under the Python version that runs this."""
    version = "import sys, pip; print(*sys.version_info[:2], sep='.')"
    try:
        found = subprocess.run(
            [environment.python, "-c", version], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return found.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


def create(environment: Environment) -> None:
    """Make *environment* anew, empty but for pip."""
    ensure_venv_module()
    shutil.rmtree(environment.path, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(environment.path)])


def ensure_venv_module() -> None:
    """See that Python can make environments: Debian keeps that in a package of its own."""
    if can_make_environments():
        return
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(
            f"This Python cannot make virtual environments. Install it: apt-get install {package}"
        )
    say(f"installing the Debian package {package}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)  # noqa: S607
    run(["apt-get", "install", "-qq", "-y", "-o=Dpkg::Use-Pty=0", "--no-install-recommends", package], quiet)


def can_make_environments() -> bool:
    """Say whether both modules that `python -m venv` needs are there."""
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def install(environment: Environment) -> None:
    """Install what the lock names, by hash, and then this repository's own packages, editable."""
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps"]
    run([*pip, "--require-hashes", "-r", str(environment.lock)])
    editable = [word for package in environment.packages for word in ("-e", str(ROOT / package))]
    if editable:
        run([*pip, "--no-build-isolation", *editable])


def remove_others(environment: Environment) -> None:
    """Uninstall what the lock does not name: a forgotten package hides a missing requirement."""
    names = "from importlib.metadata import distributions as d; print(*{x.metadata['Name'] for x in d()}, sep='\\n')"
    listed = subprocess.run([environment.python, "-c", names], capture_output=True, text=True, check=True)
    pinned = {
        canonical(line.split("==")[0]) for line in environment.lock.read_text().splitlines() if "==" in line
    }
    own = {"staleproof", "staleproof-pipeline"} if environment.packages else set()
    extra = {canonical(name) for name in listed.stdout.split()} - pinned - own - KEPT
    if extra:
        run([str(environment.python), "-m", "pip", "uninstall", "--quiet", "--yes", *sorted(extra)])


def canonical(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return name.strip().split("[")[0].lower().replace("_", "-").replace(".", "-")


def run(command: list[str], environ: dict[str, str] | None = None) -> None:
    """Run *command*; its failure ends this program with the command named."""
    try:
        # pip must not see a root's warning as noise on a fresh machine, nor a PYTHONPATH of the caller's.
        base = environ or os.environ
        clean = {name: value for name, value in base.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
        subprocess.run(
            command, env={"PIP_ROOT_USER_ACTION": "ignore", **clean}, check=True, cwd=ROOT, close_fds=False
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"This failed, and can simply be run again: {' '.join(command)}\n{error}") from error


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"· {text}", file=sys.stderr, flush=True)


def main(names: list[str]) -> None:
    """Make the environments called *names*.

    Raises:
        SystemExit: Python is too old, or there is no environment of such a name.
    """
    if sys.version_info < LEAST_PYTHON:
        raise SystemExit(
            f"{sys.executable} is Python {sys.version.split()[0]}; this needs 3.11 or newer: make PYTHON=python3.11 …"
        )
    for name in names:
        if name not in ENVIRONMENTS:
            raise SystemExit(f"environment {name!r} is unknown; there are: {', '.join(ENVIRONMENTS)}")
        ensure(ENVIRONMENTS[name])


if __name__ == "__main__":
    main(sys.argv[1:])
