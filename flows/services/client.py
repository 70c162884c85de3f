"""Asks and prepares the Prefect server of the services, through Prefect's own client."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flows.services.errors import ServicesError
from flows.services.launch import program

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

    from flows.services.automations import Wanted

__all__ = ["Dashboard", "job_template"]

SECONDS = 10.0  # that the server may take for one answer


def job_template() -> dict[str, Any]:
    """What the worker starts for a flow run: always the same program, in the worker's folder.

    Prefect's own template lets every flow run name its command, folder and environment: whoever may start a run could
    run any program. Here nothing is a variable, and the server refuses a run or a deployment that gives one.

    Returns:
        The base job template of a process pool.
    """
    return {
        "job_configuration": {
            "command": shlex.join(program("prefect.engine")),
            "working_dir": ".",  # of the worker
            # Output goes to the dashboard: a pipe to the worker would break the run when the worker dies.
            "stream_output": False,
            # No `env`, not even an empty one: the worker merges the variables of a run into any that is here.
        },
        "variables": {"type": "object", "properties": {}, "additionalProperties": False},
    }


@dataclass(frozen=True)
class Dashboard:
    """A Prefect server.

    Attributes:
        url: Its address, without a path.
        pool: The work pool of our deployments.
        login: `user:password`.
    """

    url: str
    pool: str
    login: str = field(repr=False)

    def healthy(self) -> bool:
        """Whether it answers and says that it is well; asked once, without the client's patience."""
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), self.client() as client:
            return client.api_healthcheck() is None

    def ready_pool(self) -> None:
        """Create the work pool, or give one of an earlier version our template."""
        from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
        from prefect.exceptions import ObjectAlreadyExists

        template = job_template()
        with self._asked() as client:
            try:
                client.create_work_pool(WorkPoolCreate(name=self.pool, type="process", base_job_template=template))
            except ObjectAlreadyExists:
                # Its other settings, such as a limit or a pause, are the operator's.
                client.update_work_pool(self.pool, WorkPoolUpdate(base_job_template=template))

    def worker_online(self, *, since: datetime | None = None) -> bool:
        """Whether a worker of the pool is polling.

        Args:
            since: Only believe a sign of life that is later than this.
        """
        from httpx import HTTPError
        from prefect.client.schemas.objects import WorkerStatus

        try:
            with self.client() as client:
                workers = client.read_workers_for_work_pool(self.pool)
        except HTTPError:
            return False
        # The server calls a worker online for a minute and a half after its last sign of life.
        floor = since or datetime.now(UTC) - timedelta(seconds=90)
        return any(
            worker.status == WorkerStatus.ONLINE and (worker.last_heartbeat_time or floor) >= floor
            for worker in workers
        )

    def active_runs(self) -> list[FlowRun]:
        """The flow runs of the pool that the server believes to be at work."""
        from prefect.client.schemas.objects import StateType

        with self._asked() as client:
            active = _in_states(StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
            return client.read_flow_runs(work_pool_filter=self._of_pool(), flow_run_filter=active)

    def crash_runs(self, message: str, *, alive: Collection[str]) -> int:
        """Mark the active flow runs whose process is gone as crashed.

        Args:
            message: Why, for the dashboard.
            alive: The ids of the flow runs that have a process.

        Returns:
            How many were marked.
        """
        from prefect.states import Crashed

        lost = [run for run in self.active_runs() if str(run.id) not in alive]
        with self._asked() as client:
            for run in lost:
                # Forced, because the rules would turn a crash of a cancelled or pending run down.
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        return len(lost)

    def watch_heartbeats(self, name: str, *, seconds: float) -> None:
        """Create the automation that crashes a flow run that gave no sign of life, unless it is there.

        Args:
            name: Of the automation.
            seconds: How long a run may be silent.
        """
        from prefect.client.schemas.objects import StateType
        from prefect.events.actions import ChangeFlowRunState
        from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
        from prefect.events.schemas.events import ResourceSpecification

        trigger = EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},  # any name, since our states have names of their own
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        )
        message = f"no sign of life for {seconds:.0f} s: its process or its machine is gone"
        action = ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
        with self._asked() as client:
            if not client.read_automations_by_name(name):
                client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[action]))

    def automate(self, wanted: Sequence[Wanted]) -> list[str]:
        """Bring automations to the server; again and again changes nothing.

        Args:
            wanted: What it should have.

        Returns:
            The names of those that were made, changed or taken away.
        """
        from flows.services.applying import apply

        with self._asked() as client:
            return apply(client, wanted)

    def retire(self, names: Collection[str]) -> list[str]:
        """Take deployments away; their flow runs stay.

        Args:
            names: `flow/name` each; those that are not there, or are of another pool, are left alone.

        Returns:
            The names of those that went.
        """
        gone = []
        with self._asked() as client:
            for deployment in self._deployments(client):
                name = f"{client.read_flow(deployment.flow_id).name}/{deployment.name}"
                if name in names:
                    client.delete_deployment(deployment.id)
                    gone.append(name)
        return sorted(gone)

    def paused(self) -> list[UUID]:
        """The ids of the deployments that somebody paused."""
        with self._asked() as client:
            return [deployment.id for deployment in self._deployments(client) if deployment.paused]

    def pause(self, deployments: Collection[UUID]) -> None:
        """Pause deployments, and take away the runs that were scheduled for them."""
        with self._asked() as client:
            for each in deployments:
                client.pause_deployment(each)

    def schedules(self) -> list[str]:
        """One line a deployment: its name and when it runs."""
        lines = []
        with self._asked() as client:
            for deployment in self._deployments(client):
                flow = client.read_flow(deployment.flow_id).name
                times = [_words(each.schedule) for each in deployment.schedules if each.active]
                told = "paused" if deployment.paused else ", ".join(times) or "by hand"
                lines.append(f"{flow}/{deployment.name}: {told}")
        return sorted(lines)

    def unscheduled(self) -> list[str]:
        """The names of the deployments that have a schedule and no next run, seconds after they were created."""
        from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
        from prefect.client.schemas.objects import StateType

        missing = []
        with self._asked() as client:
            for deployment in self._deployments(client):
                if deployment.paused or not any(each.active for each in deployment.schedules):
                    continue
                its = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
                scheduled = _in_states(StateType.SCHEDULED)
                if not client.read_flow_runs(deployment_filter=its, flow_run_filter=scheduled, limit=1):
                    missing.append(deployment.name)
        return missing

    def client(self) -> SyncPrefectClient:
        """Prefect's client of this server, whatever the profile and the environment of the caller name."""
        from prefect.client.orchestration import SyncPrefectClient
        from prefect.settings import PREFECT_CLIENT_CSRF_SUPPORT_ENABLED, temporary_settings

        # A proxy of the environment must not see, and could not reach, the loopback interface.
        settings = {"trust_env": False, "timeout": SECONDS}
        with temporary_settings({PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: True}):
            return SyncPrefectClient(f"{self.url}/api", auth_string=self.login, httpx_settings=settings)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[SyncPrefectClient]:
        """The client, and its errors as ours, which name neither a header nor the password."""
        from httpx import HTTPError, HTTPStatusError

        try:
            with self.client() as client:
                yield client
        except HTTPStatusError as error:
            asked, code = error.request, error.response.status_code
            text = f"the dashboard answers {code} to {asked.method} {asked.url.path}: {error.response.text[:400]}"
            hint = "; `up` starts it anew with the password of this folder" if code == HTTPStatus.UNAUTHORIZED else ""
            raise ServicesError(text + hint) from error
        except HTTPError as error:
            raise ServicesError(f"the dashboard at {self.url} does not answer: {type(error).__name__}") from error

    def _deployments(self, client: SyncPrefectClient) -> list[DeploymentResponse]:
        return client.read_deployments(work_pool_filter=self._of_pool())

    def _of_pool(self) -> Any:
        from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

        return WorkPoolFilter(name=WorkPoolFilterName(any_=[self.pool]))


def _in_states(*types: Any) -> Any:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType

    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))


def _words(schedule: Any) -> str:
    """A schedule in one phrase: its cron expression, rule or interval, and its time zone."""
    when = getattr(schedule, "cron", None) or getattr(schedule, "rrule", None) or f"every {schedule.interval}"
    return f"{when} {schedule.timezone or 'UTC'}"
