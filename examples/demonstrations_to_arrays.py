"""Record demonstrations, then read the episode logs back as arrays, the way an imitation learner would.

python examples/demonstrations_to_arrays.py --episodes 5
"""

import argparse
import tempfile
from pathlib import Path

from policies.scripted import HoldStill
from robot_rl.core.types import Episode, Mode
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.views import demonstrations, stack
from robot_rl.env.runner import EpisodeRunner
from robot_rl.tasks import load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--episodes", type=int, default=5)
episodes = parser.parse_args().episodes

env, arm = load("franka_pick_cube").simulate()
still = HoldStill(env.spec.action)  # the person demonstrates, so the policy has nothing to say
with tempfile.TemporaryDirectory() as folder:
    with EpisodeRecorder(Path(folder), env.spec) as recorder:
        runner = EpisodeRunner(env, lambda transition: None, arm, recorder)
        for index in range(episodes):
            runner.run(Episode(index, seed=index, mode=Mode.DEMO), lambda: still)
    data = stack(demonstrations(Path(folder)))
env.close()

print(f"{len(data.action)} steps of {len(set(data.episode))} successful demonstrations")
for name, array in data.observation.items():
    spec = env.spec.observation[name]
    print(f"  {name:20} {array.shape!s:12} {spec.unit}")
print(f"  {'action':20} {data.action.shape!s:12} {', '.join(env.spec.action.names)}")
