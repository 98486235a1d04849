"""Two regions as one stack: a change in the home arrives where it should, and either half may fail."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local.__main__ import main
from local.conditions import wait_until
from local.configuration import DriverConfiguration, StreamMapping
from local.emulator import client
from local.regions import REGIONS, Handlers, TwoRegions
from local.supervisor import SupervisorError
from staleproof_pipeline.sources.eventbridge import DETAIL_TYPE, SOURCE_NAME
from tests.stack.programs.two_regions import RECORDING, TABLE

HOME, PEER = REGIONS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def stack() -> Iterator[TwoRegions]:
    with TwoRegions(
        tables=[TABLE], namespace="tests", handlers=RECORDING, replicate_every=0.2, environ={"OWN": "1"}
    ) as running:
        yield running


@pytest.fixture
def servers(stack: TwoRegions) -> Iterator[dict[str, Any]]:
    """The regions' cache servers, empty."""
    with ExitStack() as clients:
        made = {
            name: clients.enter_context(Redis.from_url(region.valkey.url, decode_responses=True))
            for name, region in stack.regions.items()
        }
        for client in made.values():
            client.flushall()
        yield made


def put_item(stack: TwoRegions, number: int) -> None:
    item = {"k": {"S": f"key-{number}"}, "v": {"N": str(number)}}
    stack.home.client("dynamodb").put_item(TableName="items", Item=item)


def put_event(stack: TwoRegions, source: str, detail: Any, region: str = HOME) -> None:
    kind = DETAIL_TYPE if source == SOURCE_NAME else "OrderPaid"
    entry = {
        "EventBusName": stack[region].bus,
        "Source": source,
        "DetailType": kind,
        "Detail": json.dumps(detail),
    }
    assert stack[region].client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def details(server: Any, count: int) -> list[Any]:
    wait_until(lambda: server.llen("bus") >= count, f"{count} events")
    return [json.loads(each)["detail"] for each in server.lrange("bus", 0, -1)]


def test_row_change_invokes_the_homes_function(stack: TwoRegions, servers: dict[str, Any]) -> None:
    """A change of the table reaches the function of the home region, and only that."""
    put_item(stack, 1)
    wait_until(lambda: servers[HOME].llen("deliveries"), "a delivery")

    assert json.loads(servers[HOME].lindex("deliveries", 0)) == [1]
    assert servers[PEER].llen("deliveries") == 0


def test_what_the_pipeline_announces_goes_to_the_peer(stack: TwoRegions, servers: dict[str, Any]) -> None:
    """An event of the pipeline crosses, in both directions, and does not come back."""
    put_event(stack, "staleproof", {"n": 1}, HOME)
    put_event(stack, "staleproof", {"n": 2}, PEER)

    assert details(servers[PEER], 1) == [{"n": 1}]
    assert details(servers[HOME], 1) == [{"n": 2}]


def test_what_an_application_announces_stays_in_its_region(
    stack: TwoRegions, servers: dict[str, Any]
) -> None:
    """An application's event invokes the bus function of its own region."""
    put_event(stack, "shop", {"n": 1}, PEER)

    assert details(servers[PEER], 1) == [{"n": 1}]
    assert servers[HOME].llen("bus") == 0


def test_regions_that_are_cut_converge_when_they_heal(stack: TwoRegions, servers: dict[str, Any]) -> None:
    """What is announced during a partition arrives after it, in both directions."""
    stack.cut()
    put_event(stack, "staleproof", {"n": 1}, HOME)
    put_event(stack, "staleproof", {"n": 2}, PEER)
    put_event(stack, "shop", {"n": 3}, PEER)
    assert details(servers[PEER], 1) == [{"n": 3}]  # within a region nothing is cut
    stack.heal()

    assert {"n": 1} in details(servers[PEER], 2)
    assert details(servers[HOME], 1) == [{"n": 2}]


def test_schedule_invokes_the_replicating_function(stack: TwoRegions, servers: dict[str, Any]) -> None:
    """The replicating function runs at its rate in every region."""
    wait_until(lambda: all(server.llen("schedule") >= 2 for server in servers.values()), "two runs each")

    assert json.loads(servers[HOME].lindex("schedule", 0))["detail-type"] == "Scheduled Event"


def test_killed_driver_goes_on_where_it_was(stack: TwoRegions, servers: dict[str, Any]) -> None:
    """A region's driver that is killed and started again delivers what came meanwhile."""
    put_item(stack, 10)
    wait_until(lambda: servers[HOME].llen("deliveries"), "a delivery")
    wait_until((stack.supervisor.directory / f"{HOME}-stream0.json").exists, "a checkpoint")
    stack.kill_driver(HOME)
    put_item(stack, 11)
    stack.start_driver(HOME)
    wait_until(lambda: servers[HOME].llen("deliveries") >= 2, "two deliveries")

    assert json.loads(servers[HOME].lindex("deliveries", -1))[-1] == 11


def test_function_is_told_where_it_runs(stack: TwoRegions) -> None:
    """A function's variables name its region's servers, its peers and what the caller added."""
    told = json.loads((stack.supervisor.directory / f"driver-{PEER}.json").read_text())["functions"][0][
        "environ"
    ]

    assert told["STALEPROOF_REGION"] == told["AWS_REGION"] == PEER
    assert told["STALEPROOF_PEERS"] == HOME
    assert told["STALEPROOF_CACHE_URL"] == stack[PEER].valkey.url
    assert told["AWS_ENDPOINT_URL"] == stack.emulator.endpoint
    assert (told["STALEPROOF_NAMESPACE"], told["STALEPROOF_BUS"], told["OWN"]) == ("tests", "staleproof", "1")
    assert told["STALEPROOF_DEAD_LETTER_QUEUE_URL"].endswith("/staleproof-dead-letter")


def test_everything_listens_on_the_loopback_only(stack: TwoRegions) -> None:
    """No port of the stack is open on another interface."""
    ports = {stack.emulator.port, *(region.valkey.port for region in stack.regions.values())}
    listening = [
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if " 0A " in line
    ]
    addresses = {int(port, 16): address for address, port in (each.split(":") for each in listening)}

    assert {addresses[port] for port in ports} == {"0100007F"}


def test_function_that_cannot_be_loaded_is_named() -> None:
    """A stack whose function fails to initialise does not start; the error names the function and the reason."""
    handlers = Handlers("", "tests.stack.handlers.absent:handler", "")
    with (
        pytest.raises(
            SupervisorError, match=r"'invalidate_from_bus': Runtime\.ImportModuleError: No module named"
        ),
        TwoRegions(handlers=handlers, regions=["eu-west-1"]),
    ):
        pytest.fail("it started")


def test_source_of_an_unknown_function_is_named(tmp_path: Path) -> None:
    """An event source that names no function is an error that says which functions there are."""
    settings = DriverConfiguration(
        region=HOME,
        endpoint="http://127.0.0.1:1",
        directory=tmp_path,
        functions=(),
        streams=(StreamMapping(function="absent", stream_arn="arn"),),
    )
    with pytest.raises(LookupError, match="'absent'"):
        settings.function(settings.streams[0].function)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--table", "no-object.json", "no-object.json: must be an object with the arguments of CreateTable"),
        ("--table", "cut.json", "cut.json: Expecting"),
        ("--rules", "absent.yaml", "absent.yaml: there is no such file"),
        ("--rules", "wrong.yaml", "wrong.yaml:1: rules: "),
        ("--regions", "eu-west-1,eu-west-1", "'eu-west-1' is there twice"),
        ("--regions", "eu-west-1,", "'' must be of a-z"),
        ("--regions", "EU/west", "'EU/west' must be of a-z"),
        ("--namespace", "no spaces", "namespace 'no spaces' must be"),
    ],
)
def test_an_unusable_argument_is_named_before_anything_starts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
    told: str,
) -> None:
    """What is wrong with an argument is said first, by name, and no server has been started for it."""
    monkeypatch.setattr("local.regions.Supervisor", lambda: pytest.fail("it started"))
    monkeypatch.chdir(tmp_path)
    Path("no-object.json").write_text('["no object"]')
    Path("cut.json").write_text("{")
    Path("wrong.yaml").write_text("version: 1\nrulez: []\n")

    assert main(["up", option, value]) == 2
    line, *_ = capsys.readouterr().err.splitlines()  # rules have a line for each fault
    assert line.startswith(option)
    assert told in line


def test_a_table_that_cannot_be_made_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What CreateTable refuses ends the command with its words, and what had started is gone."""
    path = tmp_path / "table.json"
    path.write_text('{"TableName": "t", "KeySchema": "no list"}')

    assert main(["up", "--no-functions", "--regions", "eu-west-1", "--table", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("could not start: ")
    assert "KeySchema" in line


def test_the_users_aws_profile_means_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile or a file that the user's environment names, and which may not exist, is not looked for."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/absent")

    made = client("dynamodb", HOME, "http://127.0.0.1:1")
    assert (made.meta.endpoint_url, made.meta.region_name) == ("http://127.0.0.1:1", HOME)


def test_help_says_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The command explains itself."""
    with pytest.raises(SystemExit):
        main(["up", "--help"])

    assert "aws --endpoint-url" in capsys.readouterr().out
