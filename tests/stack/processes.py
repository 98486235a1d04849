"""What runs below a process, as the kernel tells, for tests that look for what was left behind (Linux)."""

from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Say whether it still runs."""
        fields = stat(self.pid)
        return fields is not None and fields[19] == self.started and fields[0] != "Z"


def stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the command: state, parent, …; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None


def descendants(pid: int) -> list[Process]:
    """Return every process below *pid*."""
    everything = {
        int(entry.name): fields
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (fields := stat(int(entry.name)))
    }
    below, found = {pid}, []
    while grown := {each for each, fields in everything.items() if int(fields[1]) in below} - below:
        below |= grown
        found += [Process(each, everything[each][19]) for each in grown]
    return found
