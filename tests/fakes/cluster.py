"""Replicas of an engine without a cluster: hosts in this process, and lines to them.

A replica may die at any call; another one is there at once.
"""

import pickle
from collections import deque
from itertools import count

from engine.errors import FullError
from engine.hosting import Host
from engine.lines import LostError, value_of
from tests.fakes.engine import ScriptedEngine


class FakeCluster:
    """So many replicas, each with its places.

    Args:
        load: Makes the engine of a replica.
        replicas: How many there are at any time.
        places: Seats of each.
        dies_after: Calls that a replica takes before it dies; None lets it live.
    """

    def __init__(self, load=ScriptedEngine, *, replicas=2, places=100, dies_after=None):
        self._load, self._places, self._dies_after = load, places, dies_after
        self._names = count(1)
        self.replicas = [self._start() for _ in range(replicas)]
        self.num_deaths = 0

    def dial(self, opening):
        free = [one for one in self.replicas if one.host.num_seats < self._places]
        found = min(free, key=lambda one: one.host.num_seats, default=None)
        return FakeLine(self, found, pickle.loads(pickle.dumps(opening)))

    def kill(self, replica):
        self.num_deaths += 1
        replica.is_alive = False
        self.replicas[self.replicas.index(replica)] = self._start()

    def took(self, replica):
        """Count a call; let the replica die if it was its last."""
        replica.num_calls += 1
        if replica.num_calls == self._dies_after:
            self.kill(replica)

    def _start(self):
        return FakeReplica(f"replica {next(self._names)}", self._load())


class FakeReplica:
    def __init__(self, name, engine):
        self.name, self.engine = name, engine
        self.host = Host(engine)
        self.num_calls = 0
        self.is_alive = True


class FakeLine:
    """Implements `engine.lines.Line`."""

    tickets = count(1)

    def __init__(self, cluster, replica, opening):
        self.ticket, self.replica = f"ticket {next(self.tickets)}", ""
        self._cluster, self._replica = cluster, replica
        self._inbox = deque()
        self._is_closed = False
        if replica is not None:
            self.replica = replica.name
            replica.host.open(self.ticket, opening)

    def is_up(self, wait_s):
        return self._replica is not None

    def post(self, call):
        if self._is_closed or self._replica is None or not self._replica.is_alive:
            return
        self._cluster.took(self._replica)
        if not self._replica.is_alive:
            return
        said = self._replica.host.do(self.ticket, pickle.loads(pickle.dumps(call)))
        if said is not None:
            self._inbox.append(pickle.loads(pickle.dumps(said)))

    def answer(self):
        if self._is_closed:
            raise LostError("closed")
        if self._replica is None:
            self.close()
            raise FullError(0.0)
        if not self._inbox:
            assert not self._replica.is_alive, "nobody was asked"
            raise LostError(f"{self.replica} has died")
        return value_of(self._inbox.popleft())

    def close(self):
        if not self._is_closed and self._replica is not None:
            self._replica.host.leave(self.ticket)
        self._is_closed = True
