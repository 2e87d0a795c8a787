"""Use a task as a Gymnasium environment, with the scripted person correcting what you do.

python examples/gymnasium_loop.py --steps 200
"""

import argparse

import gymnasium

import robot_rl  # noqa: F401  (registers the environments)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200)
steps = parser.parse_args().steps

env = gymnasium.make("robot_rl/FrankaPickCube-v0", person=True)
env.action_space.seed(0)
observation, _ = env.reset(seed=0)
corrected = successes = 0
for _ in range(steps):
    # The action that was executed is the person's whenever she stepped in: learn from that one.
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    corrected += info["source"].name == "HUMAN"
    successes += info["is_success"]
    if terminated or truncated:
        observation, _ = env.reset()
env.close()
print(f"{steps} steps, {corrected} of them the person's, {successes} successes")
