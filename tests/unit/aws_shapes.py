"""A boto3 client that answers from a table, and holds every call and every answer against botocore's own shapes."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel


@cache
def operations(service: str) -> dict[str, OperationModel]:
    """Every operation of *service* by the name of its method."""
    model = botocore.session.Session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


@cache
def services() -> frozenset[str]:
    """Every service that botocore knows."""
    return frozenset(botocore.session.Session().get_available_services())


def validate(given: Any, shape: Any, what: str) -> None:
    """Fail if *given* does not fit *shape*."""
    if shape is not None:
        report = ParamValidator().validate(given, shape)
        assert not report.has_errors(), f"{what}: {report.generate_report()}"


def refusal(code: str, status: int = 400, operation: str = "Operation", message: str = "no") -> ClientError:
    """What a client raises when a service refuses."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


class Recording:
    """A client of *service* whose methods answer by *answers*: from a method's name to what takes its arguments.

    Attributes:
        service: the service.
        calls: method and arguments of every call.
    """

    def __init__(
        self, service: str, answers: Mapping[str, Callable[..., Any]], region: str = "eu-west-1"
    ) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.meta = SimpleNamespace(region_name=region)
        self.service = service
        self._answers = answers

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in operations(self.service):
            raise AttributeError(f"{self.service} has no operation {method}")
        return lambda **given: self._call(method, given)

    def _call(self, method: str, given: dict[str, Any]) -> Any:
        operation = operations(self.service)[method]
        validate(given, operation.input_shape, f"{self.service}.{method}")
        self.calls.append((method, given))
        answer = self._answers[method](**given)
        validate(answer, operation.output_shape, f"the answer to {self.service}.{method}")
        return answer

    def count(self, method: str) -> int:
        """How often *method* was called."""
        return sum(name == method for name, _ in self.calls)
