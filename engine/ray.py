"""Replicas of the engine on a Ray cluster; the only file that knows Ray.

    front end                                          cluster
    line ──attend, one streaming call a seat──▶ Serve ──▶ replica: host ─▶ engine
      │ ◀────────────── answers ─────────────────────────────┘  │
      └──post──▶ door, an actor of the front end  ◀──next───────┘  by ticket

Serve sends two calls to two replicas.  So a seat is one call, which lasts as long as
the utterance; what it hears comes to it through the door.  Serve counts these calls:
it adds replicas, refuses what is too much, and lets those finish that are to end.  A
front end that dies takes its door along, and replicas free its seats.

`serve deploy` and KubeRay name `engine.ray:application` (docs/operations.md).
"""

import asyncio
import itertools
import logging
import os
import queue
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve import metrics
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.config import EngineConfig, RayConfig, build
from engine.coroutines import CoroutineThread
from engine.door import Door
from engine.errors import ClusterError, EngineError, FullError
from engine.geometry import SAMPLE_RATE
from engine.hosting import Answer, Call, Checks, Failure, Host, HostedEngine, Opening
from engine.lines import BugError, LostError
from engine.remote import RemoteEngine

logger = logging.getLogger(__name__)

APPLICATION: Final = "salmonn"
"""What Serve calls it in the cluster."""
STATISTICS: Final = "RAY_USAGE_STATS_ENABLED"
MOST_SEATS: Final = 10_000
"""Of a front end: so many calls may wait at its door."""
START_S: Final = 600.0
"""How long the first replica may load and warm up."""
CHECK_PERIOD_S: Final = 2.0
"""Between two looks of Serve's whether a replica lives."""
BUSY: Final = "busy"
MOST_BUSY: Final = 0.7
"""Share of the time that a replica may compute before there should be one more: what
comes at random waits for more than its own time beyond."""
DRAIN_PERIOD_S: Final = 0.5
"""Between two looks of a replica's that is to end whether it may."""

Load = Callable[[], HostedEngine]
"""Loads the engine of a replica, in its process."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A replica has taken a seat's call."""

    replica: str


@dataclass(frozen=True, slots=True)
class Over:
    """No more answers come."""

    reason: str


class Replica:
    """A deployment of Serve's: one engine, and its seats.

    All of it runs in one event loop, which stands still while the engine computes: that
    is the one engine thread of docs/adr/0003.  Serve has another one for itself.
    """

    def __init__(self, load: Load) -> None:
        engine = load()
        engine.warm_up()
        self._checks, self._host = engine.checks, Host(engine)
        self._name = f"{serve.get_replica_context().replica_id.unique_id}:{os.getpid()}"
        self._figures = Figures(self._host)
        self._looked_at, self._busy_s = time.monotonic(), 0.0

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return which share of the time since it was asked last was computed."""
        before, self._looked_at = self._looked_at, time.monotonic()
        computed_s, self._busy_s = self._host.busy_s - self._busy_s, self._host.busy_s
        return {BUSY: computed_s / max(self._looked_at - before, 1e-3)}

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


class RayLine:
    """Implements `engine.lines.Line`."""

    def __init__(
        self,
        attend: Any,
        door: Any,
        opening: Opening,
        *,
        thread: CoroutineThread,
        full_after_s: float,
    ) -> None:
        """Call; nothing is waited for.

        Args:
            attend: The method of a handle of Serve's.
            door: The front end's.
            opening: What the seat is for.
            thread: Hears what is answered.
            full_after_s: How long a replica may take to answer the call.
        """
        self.ticket, self.replica = uuid.uuid4().hex, ""
        self._door, self._full_after_s = door, full_after_s
        self._inbox: queue.SimpleQueue[Greeting | Answer | Failure | Over]
        self._inbox = queue.SimpleQueue()
        self._over: Over | None = None
        self._numbers = itertools.count()
        self._following = thread.start(self._follow(attend, opening))

    def is_up(self, wait_s: float) -> bool:
        """Return whether a replica has taken it, or is lost already."""
        if self.replica or self._over:
            return True
        try:
            said = self._inbox.get(timeout=wait_s)
        except queue.Empty:
            return False
        if isinstance(said, Greeting):
            self.replica = said.replica
        elif isinstance(said, Over):
            self._over = said
        return True

    def post(self, call: Call) -> None:
        """Send a call."""
        if self._over is None:
            self._post(call)

    def answer(self) -> Any:
        """Return the next answer; see `engine.lines.Line`."""
        if not self.is_up(self._full_after_s):
            self.close()
            raise FullError(self._full_after_s)
        said = self._over or self._inbox.get()
        match said:
            case Answer(value=value):
                return value
            case Failure(message=message, is_known=True):
                raise EngineError(message)
            case Failure(message=message):
                raise BugError(message)
            case Over(reason=reason):
                self._over = said
                raise LostError(reason)
        raise AssertionError(f"a replica said {said!r}")

    def close(self) -> None:
        """Give the seat up, whether there is one or not yet."""
        if self._over is None:
            self._over = Over("the line was closed")
            if self.replica:
                self._post(None)
            else:
                self._following.cancel()

    def _post(self, call: Call | None) -> None:
        self._door.post.remote(self.ticket, next(self._numbers), call)

    async def _follow(self, attend: Any, opening: Opening) -> None:
        answers = attend.remote(self.ticket, opening, self._door)
        try:
            async for said in answers:
                self._inbox.put(said)
            self._inbox.put(Over("it ended the call"))
        except asyncio.CancelledError:
            answers.cancel()
            raise
        except Exception as exc:  # whatever Ray calls it: nothing more will come
            logger.debug("a line is lost", exc_info=True)
            self._inbox.put(Over(f"{type(exc).__name__}: {exc}".partition("\n")[0]))
        finally:
            self._door.forget.remote(self.ticket)


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
        self._attend = handle.options(stream=True).attend
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

    def _dial(self, opening: Opening) -> RayLine:
        return RayLine(
            self._attend,
            self._door,
            opening,
            thread=self._lines,
            full_after_s=self._config.full_after_s,
        )

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
