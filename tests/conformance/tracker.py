"""What every `Tracker` must do. Inherit, and give a fixture `bench`: a `TrackerBench`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_rl.core.protocols import Clock, Tracker


@dataclass(frozen=True)
class TrackerBench:
    """A tracker that sees at least one object, and the means to let time pass."""

    tracker: Tracker
    clock: Clock
    wait: Callable[[float], None]
    """Let seconds of the tracker's clock pass."""
    slowest: float
    """No measurement may be older than this [s]."""


class TrackerSuite:
    """Conformance of a tracker."""

    def test_satisfies_the_protocol(self, bench: TrackerBench) -> None:
        assert isinstance(bench.tracker, Tracker)

    def test_measurements_are_fresh_and_from_the_past(self, bench: TrackerBench) -> None:
        for _ in range(20):
            bench.wait(0.03)
            now = bench.clock.now()
            measured = bench.tracker.read()
            assert measured
            for one in measured.values():
                assert one.stamp <= now
                assert now - one.stamp <= bench.slowest * 1e9

    def test_stamps_never_go_back(self, bench: TrackerBench) -> None:
        last = -1
        for _ in range(30):
            bench.wait(0.01)
            stamp = max(one.stamp for one in bench.tracker.read().values())
            assert stamp >= last
            last = stamp
        assert last > 0

    def test_poses_are_poses(self, bench: TrackerBench) -> None:
        for one in bench.tracker.read().values():
            assert one.pose.position.shape == (3,)
            assert abs(np.linalg.norm(one.pose.quaternion) - 1.0) < 1e-9

    def test_reading_twice_at_once_gives_the_same(self, bench: TrackerBench) -> None:
        first, second = bench.tracker.read(), bench.tracker.read()
        assert first.keys() == second.keys()
        for name, one in first.items():
            assert second[name].stamp == one.stamp
            np.testing.assert_array_equal(second[name].pose.position, one.pose.position)
