"""The Parameter Store as a source: read whole, kept secret, and its failures said as what a caller does next."""

from __future__ import annotations

import os
import sys
from typing import Any

import botocore.session
import pytest
from botocore import exceptions
from botocore.stub import ANY, Stubber

from staleproof import ConfigurationError, Policy, ProviderUnavailableError
from staleproof.config import ParameterStore, Settings
from staleproof.config.parameter_store import MAX_PARAMETERS, PAGE, client
from tests.unit.settings_parameters import Parameters

PATH = "/staleproof/prod"
ENVIRON = {
    "STALEPROOF_CACHE_URL": "memory://",
    "STALEPROOF_NAMESPACE": "shop",
    "STALEPROOF_FILE": "none",
    "STALEPROOF_STAGE": "prod",
}


def read(held: Parameters, environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    return Settings.from_env(
        {**ENVIRON, **(environ or {})}, parameters=ParameterStore(lambda: held), **arguments
    )


def test_a_stage_turns_it_on() -> None:
    """Parameters below the stage's path go before the file and after the environment."""
    held = Parameters({f"{PATH}/ttl": "1h", f"{PATH}/lease": "3s", f"{PATH}/policies/hot/ttl": "1m"})
    settings = read(held, {"STALEPROOF_LEASE": "4s"})
    assert settings.policy == Policy(ttl="1h", lease="4s")
    assert settings.policies["hot"] == Policy(ttl="1m", lease="4s")
    assert settings.origin("ttl") == "ssm /staleproof/prod/ttl"
    assert settings.origin("lease") == "environment STALEPROOF_LEASE"


def test_without_a_stage_or_path_nobody_asks() -> None:
    """A start that names neither makes no client; `none` turns it off in spite of a stage."""
    held = Parameters()
    assert read(held, {"STALEPROOF_STAGE": ""}).policy == Policy()
    assert read(held, {"STALEPROOF_SSM_PATH": "none"}).policy == Policy()
    assert held.asked == 0


def test_a_path_may_be_named() -> None:
    """A path of one's own needs no stage, or names it; naming one that is not set is a fault."""
    held = Parameters({"/shop/cache/ttl": "1h", "/shop/prod/ttl": "2h"})
    assert read(held, {"STALEPROOF_STAGE": ""}, ssm_path="/shop/cache").policy.ttl == 3_600
    assert read(held, {"STALEPROOF_SSM_PATH": "/shop/{stage}"}).policy.ttl == 7_200
    with pytest.raises(
        ConfigurationError, match=r"argument ssm_path: .* names a stage; set STALEPROOF_STAGE"
    ):
        read(held, {"STALEPROOF_STAGE": ""}, ssm_path="/shop/{stage}")


def test_all_pages_are_read() -> None:
    """However many parameters there are, all count, ten a page."""
    held = Parameters({f"{PATH}/policies/p{number}/ttl": "1m" for number in range(25)})
    assert len(read(held).policies) == 25
    assert held.asked == 3


def test_too_many_are_refused() -> None:
    """A path that holds a whole account's parameters is not read to its end."""
    held = Parameters({f"/everything/{number:05}": "x" for number in range(3 * MAX_PARAMETERS)})
    with pytest.raises(
        ConfigurationError, match="/everything: has more than 1000 parameters; name a path of its own"
    ):
        read(held, ssm_path="/everything")
    assert held.asked == MAX_PARAMETERS // PAGE + 1


def test_faults_name_their_parameter() -> None:
    """Wrong and unknown parameters are told by name, and where they may not lie."""
    held = Parameters({f"{PATH}/ttl": "soon", f"{PATH}/near/max_copy": "1"})
    with pytest.raises(ConfigurationError) as caught:
        read(held)
    assert [line.partition("; ")[::2] for line in str(caught.value).splitlines()] == [
        (
            "ssm /staleproof/prod/near/max_copy: there is no setting 'near.max_copy'",
            "did you mean near.max_copies?",
        ),
        (
            "ssm /staleproof/prod/ttl: ttl='soon' is no duration",
            "write seconds, or '250ms', '10m', '1h30m', '2d'",
        ),
    ]
    with pytest.raises(ConfigurationError, match="ssm /staleproof/prod/stage: stage says where settings lie"):
        read(Parameters({f"{PATH}/stage": "prod"}))


def test_a_secure_string_is_never_shown() -> None:
    """Whatever setting is stored as a SecureString, neither its error nor its listing shows it."""
    held = Parameters()
    held.put(f"{PATH}/timeout", "hush-hush", "SecureString")
    held.put(f"{PATH}/namespace", "hush hush", "SecureString")
    with pytest.raises(ConfigurationError) as caught:
        read(held, {"STALEPROOF_NAMESPACE": ""})
    of_namespace, of_timeout = str(caught.value).splitlines()
    assert of_namespace == f"ssm {PATH}/namespace: namespace is wrong (a SecureString, not shown); correct it"
    assert of_timeout.startswith(
        f"ssm {PATH}/timeout: timeout is wrong (a SecureString, not shown); write seconds"
    )


def test_the_pipelines_parameters_are_left_alone() -> None:
    """One stage's path serves the pipeline too."""
    held = Parameters({f"{PATH}/rules": "x", f"{PATH}/peers": "x", f"{PATH}/ttl": "1h"})
    assert read(held).policy == Policy(ttl="1h")


def test_an_empty_path_is_a_fault() -> None:
    """A stage without a single parameter is most likely misspelt."""
    with pytest.raises(
        ConfigurationError, match="ssm /staleproof/prdo: no parameter lies below it; check STALEPROOF_STAGE"
    ):
        read(Parameters(), stage="prdo")


def refusal(code: str, status: int = 400) -> exceptions.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "GetParametersByPath")


@pytest.mark.parametrize(
    ("error", "expected", "told"),
    [
        (refusal("AccessDeniedException"), ConfigurationError, "allow ssm:GetParametersByPath on it, and kms:Decrypt"),
        (refusal("InvalidKeyId"), ConfigurationError, "allow ssm:GetParametersByPath"),
        (refusal("ThrottlingException"), ProviderUnavailableError, "ThrottlingException; retry"),
        (refusal("Unheard", 503), ProviderUnavailableError, "Unheard; retry"),
        (exceptions.EndpointConnectionError(endpoint_url="x"), ProviderUnavailableError, "retry, or check the way"),
        (exceptions.ReadTimeoutError(endpoint_url="x"), ProviderUnavailableError, "retry, or check the way"),
        (exceptions.ConnectTimeoutError(endpoint_url="x"), ProviderUnavailableError, "retry, or check the way"),
        (exceptions.NoCredentialsError(), ConfigurationError, "check the function's role, and AWS_REGION"),
        (exceptions.NoRegionError(), ConfigurationError, "check the function's role, and AWS_REGION"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)  # fmt: skip
def test_a_failure_says_whether_to_retry(error: Exception, expected: type[Exception], told: str) -> None:
    """What time may mend is unavailable; what only a person mends is configuration."""
    held = Parameters()
    held.failing = error
    with pytest.raises(expected, match=told) as caught:
        read(held)
    assert str(caught.value).startswith(f"ssm {PATH}: ")
    assert caught.value.__cause__ is error


def test_an_error_of_the_code_is_not_disguised() -> None:
    """What no AWS library raised passes as it is."""
    held = Parameters()
    held.failing = ZeroDivisionError("x")
    with pytest.raises(ZeroDivisionError):
        read(held)


def test_requests_and_answers_have_the_shape_of_the_service() -> None:
    """The service's own model, as botocore has it, accepts every request, and its answers are understood."""
    session = botocore.session.Session()
    session.set_credentials("local", "local")
    real = session.create_client("ssm", region_name="eu-west-1")
    asked = {"Path": PATH, "Recursive": True, "WithDecryption": True, "MaxResults": PAGE}
    secret = {"Name": f"{PATH}/ttl", "Value": "1h", "Type": "SecureString", "Version": 3}
    with Stubber(real) as stub:
        stub.add_response("get_parameters_by_path", {"Parameters": [], "NextToken": "more"}, asked)
        stub.add_response("get_parameters_by_path", {"Parameters": [secret]}, {**asked, "NextToken": "more"})
        stub.add_client_error(
            "get_parameters_by_path", "AccessDeniedException", expected_params={**asked, "Path": ANY}
        )
        store = ParameterStore(lambda: real)
        assert [(path, each.value, each.secret) for path, each in store.read(PATH).items()] == [
            ("ttl", "1h", True)
        ]
        with pytest.raises(ConfigurationError, match="AccessDeniedException"):
            store.read(PATH)
        stub.assert_no_pending_responses()


def test_one_client_serves_a_process() -> None:
    """The client is made at the first reading, once; a forked child makes its own."""
    made: list[Parameters] = []

    def connect() -> Parameters:
        made.append(Parameters({f"{PATH}/ttl": "1h"}))
        return made[-1]

    store = ParameterStore(connect)
    assert made == []
    store.read(PATH)
    store.read(PATH)
    assert len(made) == 1
    child = os.fork()
    if not child:
        store.read(PATH)
        os._exit(len(made))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the Parameter Store without its library is told what to install."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigurationError, match=r"needs boto3; install staleproof\[aws\]"):
        client()


def test_the_client_gives_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start does not wait a minute for a service that cannot be reached."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = client().meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries["total_max_attempts"] == 3
