"""The presets of flying learn what they promise."""

import pytest

from robot_rl.learn.flight.judge import Judge
from robot_rl.learn.flight.trainer import Trainer
from robot_rl.tasks.flight import FlightTask, presets_of
from sim.quadrotor.evaluation import Evaluation

pytestmark = pytest.mark.learning


def learned(task: str, seeds: range) -> list[Evaluation]:
    settings = presets_of(task)["fast"]
    assert isinstance(settings, FlightTask)
    trainer = Trainer(settings.gradient, settings.training, settings.spec)
    judge = Judge(settings.spec, settings.evaluations()["l2f-paper"])
    return [judge(trainer.train(settings.gradient, seed).weights) for seed in seeds]


def test_every_seed_learns_to_hover():
    for found in learned("quadrotor_hover", range(20, 30)):
        assert found.length >= 490.0
        assert found.alive >= 0.98
        assert found.error <= 0.035


def test_every_seed_learns_the_figure_eight():
    for found in learned("quadrotor_figure_eight", range(20, 25)):
        assert found.alive == 1.0
        assert found.rms <= 0.03
