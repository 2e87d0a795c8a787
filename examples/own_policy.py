"""Drive the arm with a policy of your own: anything that maps an observation to an action.

python examples/own_policy.py --episodes 5
"""

import argparse

import numpy as np

from robot_rl.core.spec import Observation
from robot_rl.core.types import Episode, Mode
from robot_rl.env.runner import EpisodeRunner
from robot_rl.tasks import load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--episodes", type=int, default=5)
episodes = parser.parse_args().episodes


class GoToGoal:
    """Moves straight to the goal, in the tool's frame that observations and actions share."""

    version = 0

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(4,) x, y, z of the tool's motion, and the gripper left as it is."""
        way = observation["goal.position"] - observation["target.offset"]
        return np.clip([*(way / 0.04), 0.0], -1.0, 1.0).astype(np.float32)


env, arm = load("franka_reach").simulate(person=False)
runner = EpisodeRunner(env, lambda transition: None, arm)
policy = GoToGoal()
results = [runner.run(Episode(i, seed=i, mode=Mode.EVAL), lambda: policy) for i in range(episodes)]
env.close()
print(f"{sum(r.success for r in results)} of {episodes} goals reached")
