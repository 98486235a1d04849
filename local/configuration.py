"""What a region's driver is told: its functions and their event sources, as one JSON document."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from local.event_sources.retry import FOREVER, RetryPolicy
from local.function_host import Function


class Settings(BaseModel):
    """Settings are values: they do not change, and a misspelt one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StreamMapping(Settings):
    """A DynamoDB stream as the event source of a function; the names and bounds are Lambda's.

    Attributes:
        function: the function's name.
        stream_arn: the stream.
        batch_size: records an invocation gets at most.
        batching_window: seconds that the first record of a batch may wait for more.
        starting_position: where to begin without a checkpoint.
        maximum_retry_attempts: retries after the first delivery, -1 for ever.
        bisect: split a failed batch in two.
        report_failures: the function reports failed records.
        on_failure_queue_url: where records go that are given up; "" drops them, with an error in the log.
        first_pause: seconds before the first retry.
        longest_pause: seconds that no pause between retries exceeds.
    """

    function: str
    stream_arn: str
    batch_size: int = Field(default=100, ge=1, le=10_000)
    batching_window: float = Field(default=0.0, ge=0, le=300)
    starting_position: Literal["TRIM_HORIZON", "LATEST"] = "TRIM_HORIZON"
    maximum_retry_attempts: int = Field(default=FOREVER, ge=-1, le=10_000)
    bisect: bool = False
    report_failures: bool = True
    on_failure_queue_url: str = ""
    first_pause: float = Field(default=0.05, gt=0)
    longest_pause: float = Field(default=2.0, gt=0)

    def retry_policy(self) -> RetryPolicy:
        """Return what the retry machine needs to know."""
        return RetryPolicy(self.maximum_retry_attempts, self.bisect, self.first_pause, self.longest_pause)


class BusSubscription(Settings):
    """Events of a bus, queued by a rule in the bus's own region, as asynchronous invocations of a function.

    Attributes:
        function: the function's name.
        origin: the region of the bus and of the queue.
        queue_url: the rule's target.
        dead_letter_queue_url: where an event goes whose invocations all failed; in the driver's own region.
        maximum_retry_attempts: retries after the first invocation.
        retry_delays: whole seconds before each retry. AWS waits one minute, then two.
    """

    function: str
    origin: str
    queue_url: str
    dead_letter_queue_url: str
    maximum_retry_attempts: int = Field(default=2, ge=0, le=2)
    retry_delays: tuple[int, ...] = (2, 10)


class Schedule(Settings):
    """A function invoked at a fixed rate.

    Attributes:
        function: the function's name.
        every: seconds from one start to the next; a run that takes longer delays the next one.
    """

    function: str
    every: float = Field(gt=0)


class DriverConfiguration(Settings):
    """Everything that one region's driver does.

    Attributes:
        region: where its functions run.
        endpoint: the emulator.
        directory: where checkpoints, partition marks and logs lie.
        functions: what the sources name.
        streams: DynamoDB streams.
        buses: event buses, of this region and of others.
        schedules: fixed rates.
    """

    region: str
    endpoint: str
    directory: Path
    functions: tuple[Function, ...]
    streams: tuple[StreamMapping, ...] = ()
    buses: tuple[BusSubscription, ...] = ()
    schedules: tuple[Schedule, ...] = ()

    @property
    def ready(self) -> Path:
        """The file that the driver makes when every function has initialised."""
        return self.directory / f"{self.region}.ready"

    def function(self, name: str) -> Function:
        """Return the function called *name*.

        Raises:
            LookupError: there is none; the text says which there are.
        """
        for function in self.functions:
            if function.name == name:
                return function
        known = ", ".join(function.name for function in self.functions)
        raise LookupError(f"an event source names the function {name!r}; there are: {known}")
