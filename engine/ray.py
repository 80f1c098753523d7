"""Replicas of the engine on a Ray cluster; the only file that knows Ray.

    front end                                          cluster
    line ──attend, one streaming call a seat──▶ router ──▶ replica: host ─▶ engine
      │ ◀────────────── answers ─────────────────────────────┘  │
      └──post──▶ door, an actor of the front end  ◀──next───────┘  by ticket

Serve sends two calls to two replicas.  So a seat is one call, which lasts as long as
the utterance; what it hears comes to it through the door.  Serve counts these calls:
it adds replicas, refuses what is too much, and lets those finish that are to end.  Our
router chooses which replica takes one.  A front end that dies takes its door along, and
replicas free its seats.

`serve deploy` and KubeRay name `engine.ray:application` (docs/operations.md).
"""

import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve import metrics
from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import (
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.config import EngineConfig, RayConfig, build
from engine.coroutines import CoroutineThread
from engine.door import Door
from engine.errors import ClusterError
from engine.geometry import SAMPLE_RATE
from engine.hosting import Answer, Checks, Failure, Host, HostedEngine, Opening
from engine.placement import Placement
from engine.remote import RemoteEngine
from engine.replicas import ReplicaFigures
from engine.streaming_line import Greeting, StreamingLine

logger = logging.getLogger(__name__)

APPLICATION: Final = "salmonn"
"""What Serve calls it in the cluster."""
STATISTICS: Final = "RAY_USAGE_STATS_ENABLED"
MOST_SEATS: Final = 10_000
"""Of a front end: so many calls may wait at its door."""
FIGURES_S: Final = 1.0
"""How long replicas may take to say what they have done."""
START_S: Final = 600.0
"""How long the first replica may load and warm up."""
CHECK_PERIOD_S: Final = 2.0
"""Between two looks of Serve's whether a replica lives."""
BUSY: Final = "busy"
MOST_BUSY: Final = 0.7
"""Share of the time that a replica may compute before there should be one more: what
comes at random waits for more than its own time beyond."""
SURGE_PERCENT: Final = 20
"""How many more replicas there may be, one at least, while new ones take over.  With
none, Serve ends old ones first, and starts none while too many of them still drain."""
DRAIN_PERIOD_S: Final = 0.5
"""Between two looks of a replica's that is to end whether it may."""

Load = Callable[[], HostedEngine]
"""Loads the engine of a replica, in its process."""


class Replica:
    """A deployment of Serve's: one engine, and its seats.

    All of it runs in one event loop, which stands still while the engine computes: that
    is the one engine thread of docs/adr/0003.  Serve has another one for itself.
    """

    def __init__(self, load: Load) -> None:
        engine = load()
        engine.warm_up()
        self._checks, self._host = engine.checks, Host(engine)
        self._id = str(serve.get_replica_context().replica_id.unique_id)
        self._name = f"{self._id}:{os.getpid()}"
        self._figures = Figures(self._host)
        self._looked_at, self._busy_s = time.monotonic(), 0.0

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return which share of the time since it was asked last was computed."""
        before, self._looked_at = self._looked_at, time.monotonic()
        computed_s, self._busy_s = self._host.busy_s - self._busy_s, self._host.busy_s
        return {BUSY: computed_s / max(self._looked_at - before, 1e-3)}

    async def figures(self) -> ReplicaFigures:
        """Return what it has done."""
        return ReplicaFigures(
            name=self._id,
            utterances=self._host.num_seats,
            busy_s=self._host.busy_s,
            audio_s=self._host.num_samples / SAMPLE_RATE,
        )

    async def checks(self) -> Checks:
        """Return what the engine is, and refuses."""
        return self._checks

    async def attend(
        self, ticket: str, opening: Opening, door: Any
    ) -> AsyncIterator[Greeting | Answer | Failure]:
        """Serve a seat until its front end ends it, or is gone."""
        self._host.open(ticket, opening)
        try:
            yield Greeting(self._name)
            while True:
                try:
                    calls = await door.next.remote(ticket, self._name)
                except RayActorError:  # the front end is gone
                    return
                for call in calls:
                    if call is None:
                        return
                    said = self._host.do(ticket, call)
                    self._figures.tell()
                    if said is not None:
                        yield said
        finally:
            self._host.leave(ticket)
            self._figures.tell()


class Figures:
    """What Ray's metrics are told of a replica; they add which one it is."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._seats = metrics.Gauge(
            "salmonn_replica_utterances",
            description="Utterances and sessions' voices that a replica holds",
        )
        self._busy = metrics.Counter(
            "salmonn_replica_busy_seconds",
            description="Time for which a replica has computed",
        )
        self._audio = metrics.Counter(
            "salmonn_replica_audio_seconds",
            description="Speech that a replica was given",
        )
        self._told_busy_s, self._told_samples = 0.0, 0

    def tell(self) -> None:
        """Tell what is new."""
        busy_s, samples = self._host.busy_s, self._host.num_samples
        self._seats.set(self._host.num_seats)
        if busy_s > self._told_busy_s:
            self._busy.inc(busy_s - self._told_busy_s)
        if samples > self._told_samples:
            self._audio.inc((samples - self._told_samples) / SAMPLE_RATE)
        self._told_busy_s, self._told_samples = busy_s, samples


def enough_replicas(context: Any) -> tuple[float, dict[str, Any]]:
    """Return how many replicas Serve should aim at, in its own words a policy.

    As many as the utterances want that are held or wait for a place, or as compute at
    most `MOST_BUSY` of the time, whichever are more.
    """
    wanted = context.total_num_requests / context.config.get_target_ongoing_requests()
    busy = (context.aggregated_metrics or {}).get(BUSY, {})
    return max(wanted, sum(busy.values()) / MOST_BUSY), {}


class Router(RequestRouter):  # type: ignore[misc]  # Ray is not typed here
    """Serve's choice of a replica, in each front end: the one that holds fewest.

    Serve's own router looks at two replicas, at what each last said of itself.  Calls
    that follow each other faster than answers go to the same one then; and of one that
    has said nothing lately, or too late because it computes, it does not think at all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._placement = Placement[ReplicaID]()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return replicas, each a rank of its own: one that is full passes it on."""
        by_id = {one.replica_id: one for one in candidate_replicas}
        ranked = self._placement.rank([*by_id], self.replica_queue_len_cache.get)
        if pending_request is not None and ranked:
            seat = pending_request.metadata.internal_request_id
            self._placement.aim(seat, ranked[0], pending_request.future.cancelled)
            if self.replica_queue_len_cache.get(ranked[0]) is None:
                # Serve would ask it first, and take another if it is slow to answer.
                # Whether it has a place, it says when it is called.
                self.on_new_queue_len_info(ranked[0], self._placement.held(ranked[0]))
            # Once all of them are full it waits before it asks again.
            pending_request.routing_context.should_backoff = True
        return [[by_id[one]] for one in ranked]

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any
    ) -> None:
        """Count a seat where it was taken."""
        seat = pending_request.metadata.internal_request_id
        self._placement.move(seat, replica_id)

    def on_request_completed(
        self, replica_id: ReplicaID, internal_request_id: str
    ) -> None:
        """Count a seat no more."""
        self._placement.free(internal_request_id)


class RayEngine(RemoteEngine):
    """Implements `engine.api.Engine`; has a thread that hears what replicas answer."""

    def __init__(self, handle: Any, config: RayConfig, *, ends_ray: bool) -> None:
        """Take replicas that are there.

        Args:
            handle: Of Serve's, to the application.
            config: How.
            ends_ray: Whether this process leaves Ray with the engine.

        Raises:
            ClusterError: If no replica answers.
        """
        try:
            checks = handle.checks.remote().result(timeout_s=START_S)
        except Exception as exc:
            raise _cluster_error(config, exc) from exc
        super().__init__(self._dial, checks)
        self._config, self._ends_ray = config, ends_ray
        self._handle, self._attend = handle, handle.options(stream=True).attend
        here = ray.get_runtime_context().get_node_id()
        self._door = (
            ray.remote(Door)
            .options(
                num_cpus=0,
                max_concurrency=MOST_SEATS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
            )
            .remote()
        )
        self._lines = CoroutineThread("ray-lines")

    def _dial(self, opening: Opening) -> StreamingLine:
        return StreamingLine(
            self._attend,
            self._door,
            opening,
            thread=self._lines,
            full_after_s=self._config.full_after_s,
        )

    def replicas(self) -> list[ReplicaFigures]:
        """Return what each replica says; see `engine.replicas.Replicated`."""
        try:
            asked = self._handle.broadcast("figures")
            said = asked.results(timeout_s=FIGURES_S, return_exceptions=True)
        except Exception:  # whatever Ray calls it: there are none
            logger.debug("no replica says anything", exc_info=True)
            return []
        return [one for one in said if isinstance(one, ReplicaFigures)]

    def close(self) -> None:
        """Leave the cluster; replicas free what was held for this process."""
        self._lines.close()
        ray.kill(self._door)
        if self._ends_ray:
            if self._config.address == "local":
                serve.shutdown()
            ray.shutdown()


def load_ray(config: EngineConfig) -> RayEngine:
    """Join a cluster; deploy the engine there unless somebody has.

    Raises:
        ClusterError: If there is no cluster, or the engine does not start in it.
    """
    ends_ray = not ray.is_initialized()
    try:
        if ends_ray:
            _join(config.ray.address)
        serve.start(proxy_location="Disabled")  # nobody speaks HTTP with replicas
        if APPLICATION not in serve.status().applications:
            app = deployment(partial(_load_replica, config), config.ray)
            serve.run(app, name=APPLICATION, route_prefix=None)
        handle = serve.get_app_handle(APPLICATION)
    except Exception as exc:
        raise _cluster_error(config.ray, exc) from exc
    return RayEngine(handle, config.ray, ends_ray=ends_ray)


def application(settings: dict[str, Any]) -> Any:
    """Return what `serve deploy` and KubeRay deploy.

    Args:
        settings: The table `[engine]` of a server's TOML file.

    Raises:
        ValueError: If they are not what they should be.
    """
    config = build(EngineConfig, settings)
    return deployment(partial(_load_replica, config), config.ray)


def deployment(load: Load, config: RayConfig) -> Any:
    """Return an application of Serve's: replicas of an engine."""
    scaling: dict[str, Any] = {"num_replicas": config.min_replicas}
    if config.max_replicas > config.min_replicas:
        scaling = {
            "autoscaling_config": {
                "min_replicas": config.min_replicas,
                "max_replicas": config.max_replicas,
                "target_ongoing_requests": config.target_utterances,
                "policy": {"policy_function": enough_replicas},
            }
        }
    replicas = serve.deployment(
        Replica,
        name="engine",
        max_ongoing_requests=config.max_utterances,
        ray_actor_options={"num_cpus": config.cpus, "num_gpus": config.gpus},
        graceful_shutdown_timeout_s=config.drain_s,
        graceful_shutdown_wait_loop_s=DRAIN_PERIOD_S,
        health_check_period_s=CHECK_PERIOD_S,
        max_surge_percent=SURGE_PERCENT,
        request_router_config=RequestRouterConfig(request_router_class=Router),
        **scaling,
    )
    return replicas.bind(load)


def _load_replica(config: EngineConfig) -> HostedEngine:
    from engine.local import LocalEngine

    threads = config.threads or max(1, int(config.ray.cpus))
    return LocalEngine.load(replace(config, threads=threads))


def _join(address: str) -> None:
    os.environ.setdefault(STATISTICS, "0")  # nothing is told to anybody
    ray.init(
        address,
        include_dashboard=False if address == "local" else None,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )


def _cluster_error(config: RayConfig, exc: Exception) -> ClusterError:
    """Return an error of Ray's in our words; it may be a page long."""
    return ClusterError(config.address, f"{type(exc).__name__}: {exc}".strip())
