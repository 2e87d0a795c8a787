"""Settings of flying: presets, ablations, what a policy is judged by. None of this needs JAX."""

import dataclasses
import subprocess
import sys

import pytest

from robot_rl.core.config import dump_yaml, load_yaml
from robot_rl.core.errors import ConfigError
from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.tasks import FLIGHTS
from robot_rl.tasks.flight import (
    RANDOMISED,
    FlightAblation,
    FlightTask,
    judged_by,
    preset,
    presets_of,
    spec_of,
)
from sim.quadrotor.settings import LEVEL_START, NO_DISTURBANCE, QUIET, NoiseSettings

PRESETS = [(task, name) for task in FLIGHTS for name in presets_of(task)]


def by_gradients(task: str, name: str) -> FlightTask:
    settings = presets_of(task)[name]
    assert isinstance(settings, FlightTask)
    return settings


@pytest.mark.parametrize(("task", "name"), PRESETS)
def test_a_preset_survives_its_file(task, name, tmp_path):
    _, settings = preset(task, name)
    dump_yaml(settings, tmp_path / "config.yaml")
    assert load_yaml(type(settings), tmp_path / "config.yaml") == settings


@pytest.mark.parametrize(("task", "name"), PRESETS)
def test_a_policy_is_judged_by_what_it_can_see(task, name):
    _, settings = preset(task, name)
    spec = spec_of(task, settings)
    for flights in judged_by(settings).values():
        seen = 18 + 3 * len(flights.preview) + 4 * flights.history
        assert spec.observation.vector_size == seen
        assert flights.noise == NoiseSettings()
        assert flights.disturbance.force > 0.0


def test_the_first_preset_is_the_default():
    assert preset("quadrotor_hover", None)[0] == "fast"


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'quality'"):
        preset("quadrotor_hover", "qualty")


def test_an_ablation_changes_the_training_alone():
    whole = by_gradients("quadrotor_hover", "fast")
    less = dataclasses.replace(
        whole,
        ablation=FlightAblation(
            disturbance=False, observation_noise=False, rotor_delay=False, action_history=False
        ),
    )
    assert not less.training.vehicle.rotor_delay
    assert less.training.noise == QUIET
    assert less.training.disturbance == NO_DISTURBANCE
    assert less.training.history == 0
    assert less.spec.observation.vector_size == 18
    judged = less.evaluations()["l2f-paper"]
    assert judged.vehicle.rotor_delay
    assert judged.noise == NoiseSettings()
    assert judged.disturbance == whole.flight.disturbance


def test_a_path_is_judged_from_its_start_for_two_laps():
    judged = by_gradients("quadrotor_figure_eight", "fast").evaluations()["l2f-paper"]
    assert judged.start == LEVEL_START
    assert judged.steps == 1300


def test_each_quadrotor_is_judged_apart():
    judged = by_gradients("quadrotor_hover", "multi").evaluations()
    assert {name: flights.vehicle.sets for name, flights in judged.items()} == {
        name: (name,) for name in ("l2f-paper", "l2f-2", "gpd-cf2x")
    }


@pytest.mark.parametrize("task", FLIGHTS)
def test_a_robust_policy_is_judged_on_the_known_quadrotor_and_on_unknown_ones(task):
    robust = by_gradients(task, "robust")
    judged = robust.evaluations()
    assert set(judged) == {"l2f-paper", RANDOMISED}
    assert not judged["l2f-paper"].vehicle.scatters
    assert judged[RANDOMISED].vehicle == robust.flight.vehicle
    assert judged[RANDOMISED].disturbance.gust > 0.0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GradientSettings(updates=30, block=25), "multiple of gradient.block, 25, not 30"),
        (lambda: GradientSettings(window=0), "gradient.window must be at least 1"),
        (lambda: GradientSettings(learning_rate=float("nan")), "gradient.learning_rate must be more than 0"),
        (lambda: GradientSettings(final_rate=2.0), r"gradient.final_rate must be in \[0, 1\]"),
        (lambda: GradientSettings(hidden=()), "gradient.hidden needs widths"),
        (lambda: CostSettings(wall=-1.0), "cost.wall must not be negative"),
        (lambda: FlightTask("a", episodes=0), "episodes must be at least 1"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


def test_the_tasks_of_flying_load_without_jax():
    block = "import sys; sys.modules['jax'] = None; sys.modules['torch'] = None\n"
    words = "import robot_rl.cli.train_flight, robot_rl.cli.evaluate_flight\n"
    load = "from robot_rl.tasks.flight import presets_of\n" + "\n".join(
        f"presets_of({task!r})" for task in FLIGHTS
    )
    subprocess.run([sys.executable, "-c", block + words + load], check=True)
