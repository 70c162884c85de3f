"""What a server elsewhere is given: who may be asked, and which deployments of before go."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.services.giving import FORMER, _listed, elsewhere
from flows.services.place import Services
from storage.errors import InputError

FILE = Path(__file__).parents[3] / "deployments" / "prefect.yaml"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "PREFECT_API_URL is ''"),
        ({"PREFECT_API_URL": "server:4200"}, "PREFECT_API_URL is 'server:4200': give the address"),
        ({"PREFECT_API_URL": "http://server:4200"}, "http\\(s\\)://.../api"),
        ({"PREFECT_API_URL": "http://server:4200/api"}, "PREFECT_API_AUTH_STRING is not set"),
        (
            {"PREFECT_API_URL": "http://server:4200/api/", "PREFECT_API_AUTH_STRING": "tidemark:"},
            "give `user:password`",
        ),
    ],
)
def test_a_server_without_address_or_password_is_not_asked(
    environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        elsewhere(Services(tmp_path, 0, FILE), environment)


def test_no_deployment_of_ours_has_a_name_of_before() -> None:
    listed = _listed(FILE)
    assert {"refresh/refresh-nightly", "plan/plan", "rollback/rollback"} <= listed
    assert not FORMER & listed
    assert {name.split("/")[0] for name in FORMER} <= {name.split("/")[0] for name in listed}
