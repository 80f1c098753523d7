"""What Prometheus is told: load, speed, latency, and what was left out.

The figures of segments, in seconds:

    first text      start of speech ─▶ first text about it (a partial or the final)
    final latency   decision that speech has ended ─▶ final
    real-time       computing time of a segment / its audio

and of replies, those to questions and those that belong to finals:

    first token     the question, or the decision that speech has ended ─▶ first token
    speed           tokens after the first / the time they took

and, where the engine is in replicas, what each says of itself and all together.

It knows no clock and no user: whoever measures passes the figures.
"""

from collections.abc import Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.replicas import ReplicaFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SPEEDS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0)
FACTORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 5.0)


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.connections = Gauge(
            "salmonn_connections", "Connections that are open", registry=registry
        )
        self.sessions = Gauge(
            "salmonn_sessions",
            "Sessions in memory, those that wait for their client included",
            registry=registry,
        )
        self.audio = Counter(
            "salmonn_audio_seconds",
            "Speech that the engine has heard",
            registry=registry,
        )
        self.engine_busy = Counter(
            "salmonn_engine_busy_seconds",
            "Time for which the engine has computed",
            registry=registry,
        )
        self.queue_delay = Histogram(
            "salmonn_queue_delay_seconds",
            "How long work waited for the engine",
            buckets=SECONDS,
            registry=registry,
        )
        self.real_time_factor = Histogram(
            "salmonn_real_time_factor",
            "Computing time of a segment by its audio",
            buckets=FACTORS,
            registry=registry,
        )
        self.ttft = Histogram(
            "salmonn_ttft_seconds",
            "From the start of a segment to its first text",
            buckets=SECONDS,
            registry=registry,
        )
        self.final_latency = Histogram(
            "salmonn_final_latency_seconds",
            "From the end of a segment to its final",
            buckets=SECONDS,
            registry=registry,
        )
        self.replies = Gauge(
            "salmonn_replies", "Replies that are being generated", registry=registry
        )
        self.reply_ttft = Histogram(
            "salmonn_reply_ttft_seconds",
            "From a question, or the end of speech, to the first token of a reply",
            buckets=SECONDS,
            registry=registry,
        )
        self.reply_speed = Histogram(
            "salmonn_reply_tokens_per_second",
            "How fast a reply was generated after its first token",
            buckets=SPEEDS,
            registry=registry,
        )
        self.reply_tokens = Counter(
            "salmonn_reply_tokens", "Tokens of complete replies", registry=registry
        )
        self.reply_failures = Counter(
            "salmonn_reply_failures",
            "Replies that the engine could not give",
            registry=registry,
        )
        self.questions_refused = Counter(
            "salmonn_questions_refused",
            "Questions that were answered with an error",
            ["code"],
            registry=registry,
        )
        self.partials_dropped = Counter(
            "salmonn_partials_dropped",
            "Partials left out because their session lagged",
            registry=registry,
        )
        self.passages = Counter(
            "salmonn_passages",
            "Passages that were weighed for watches and sounds",
            registry=registry,
        )
        self.passages_left_out = Counter(
            "salmonn_passages_left_out",
            "Passages that nobody had time to weigh",
            registry=registry,
        )
        self.failures = Counter(
            "salmonn_segment_failures",
            "Segments that the engine could not serve",
            registry=registry,
        )
        self.refused = Counter(
            "salmonn_refused",
            "Connections that ended with an error",
            ["code"],
            registry=registry,
        )
        self.recalled = Counter(
            "salmonn_sessions_recalled",
            "Sessions that another front end had and that went on here",
            registry=registry,
        )
        self.store_failures = Counter(
            "salmonn_session_store_failures",
            "Times that the store which front ends share could not be used",
            registry=registry,
        )

    def render(self, replicas: Sequence[ReplicaFigures] = ()) -> bytes:
        """Return all figures in Prometheus' text format.

        Args:
            replicas: What those of the engine say of themselves, if it has any.
        """
        figures = generate_latest(self._registry)
        if not replicas:
            return figures
        registry = CollectorRegistry()
        registry.register(_Replicas(replicas))
        return figures + generate_latest(registry)


class _Replicas(Collector):
    """The figures of replicas, each alone and all together.

    Those of all together are gauges: a replica that ends takes its share along.
    """

    def __init__(self, replicas: Sequence[ReplicaFigures]) -> None:
        self._replicas = replicas

    def collect(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "salmonn_replica_utterances",
            "Utterances and sessions' voices that a replica holds, of all servers",
            labels=["replica"],
        )
        busy = CounterMetricFamily(
            "salmonn_replica_busy_seconds",
            "Time for which a replica has computed",
            labels=["replica"],
        )
        audio = CounterMetricFamily(
            "salmonn_replica_audio_seconds",
            "Speech that a replica was given",
            labels=["replica"],
        )
        for one in self._replicas:
            held.add_metric([one.name], one.utterances)
            busy.add_metric([one.name], one.busy_s)
            audio.add_metric([one.name], one.audio_s)
        yield from (held, busy, audio)
        yield GaugeMetricFamily(
            "salmonn_replicas", "Replicas of the engine", len(self._replicas)
        )
        yield GaugeMetricFamily(
            "salmonn_replicas_utterances",
            "Utterances and sessions' voices that all replicas hold",
            sum(one.utterances for one in self._replicas),
        )
        yield GaugeMetricFamily(
            "salmonn_replicas_busy_seconds",
            "Time for which the replicas that there are have computed",
            sum(one.busy_s for one in self._replicas),
        )
        yield GaugeMetricFamily(
            "salmonn_replicas_audio_seconds",
            "Speech that the replicas that there are were given",
            sum(one.audio_s for one in self._replicas),
        )
