"""Every fault that the code can produce has its advice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.control.fault_advice import START, START_OF_ANOTHER, UNKNOWN, WAIT, fault_advice, hold_advice
from robot_rl.control.watch import WAITING, HeartbeatWatch, PermitWatch
from robot_rl.core.clock import nanoseconds
from robot_rl.core.types import Episode, Mode
from sim.arm.settings import ArmSimConfig
from sim.arm.simulated_arm import SimulatedArm
from tests.unit.test_safety import MS, Arm, command, supervisor

NAN = float("nan")


def faults_of_states() -> list[str]:
    """What the supervisor says of every state that it does not allow."""
    far, fast = Arm().q.copy(), Arm().dq.copy()
    far[3], fast[2] = 0.5, 9.0
    states = [
        Arm(q=far),
        Arm(dq=fast),
        Arm(position=np.array([NAN, 0.0, 0.2])),
        Arm(wrench=np.array([0.0, 0.0, 200.0, 0.0, 0.0, 0.0])),
        Arm(wrench=np.array([0.0, 0.0, 0.0, 0.0, 99.0, 0.0])),
    ]
    reasons = []
    for state in states:
        safety = supervisor()
        safety.monitor(state, 2 * MS, 2 * MS)
        reasons.append(safety.fault)
    safety = supervisor()
    safety.monitor(Arm(), 0, 999 * MS)
    return [*reasons, safety.fault]


def faults_of_commands() -> list[str]:
    reasons = []
    for wish in (command((NAN, 0.0, 0.2)), command((0.5, 0.0, 0.2), np.array([2.0, 0.0, 0.0, 0.0]))):
        safety = supervisor()
        safety.accept(wish, 0)
        reasons.append(safety.fault)
    return reasons


def faults_of_silence() -> list[str]:
    reasons = []
    for process in ("console", "intervention", "camera_mover"):
        watch = HeartbeatWatch([process])
        for now in range(0, 2000, 50):
            watch.hear(process, 1, now * MS)
        reasons.append(watch.verdict(4000 * MS).reason)
    permits = PermitWatch()
    permits.hear(True, "", 0)
    silent = permits.verdict(nanoseconds(5.0))
    permits.hear(False, "", nanoseconds(5.0))
    denied = permits.verdict(nanoseconds(5.0))
    assert silent[1] and denied[1]
    return [*reasons, silent[0], denied[0]]


def fault_of_a_reset() -> str:
    """Something holds the arm up on its way."""
    config = ArmSimConfig(reset_motion="trajectory")
    arm = SimulatedArm(replace(config, limits=replace(config.limits, workspace_max=(0.34, 0.3, 0.35))))
    with pytest.raises(Exception, match="did not reach its goal"):
        arm.reset(Episode(0, 0, Mode.TRAIN))
    arm.close()
    return arm.safety.fault


def test_every_fault_has_its_own_advice() -> None:
    reasons = [*faults_of_states(), *faults_of_commands(), *faults_of_silence(), fault_of_a_reset()]
    reasons += ["emergency stop (service safety/e_stop)", "emergency stop (page)"]
    assert len(reasons) == 16
    for reason in reasons:
        assert reason
        advice = fault_advice(reason)
        assert advice not in ("", UNKNOWN), reason
        assert "clear the fault" in advice
    assert len({fault_advice(reason) for reason in reasons}) == 13


def test_other_faults_have_the_general_advice_and_none_has_none() -> None:
    assert fault_advice("the gripper's motor is hot") == UNKNOWN
    assert fault_advice("") == hold_advice("") == ""


def test_a_hold_says_whether_to_wait() -> None:
    assert hold_advice(WAITING) == START
    assert hold_advice("the process 'console' is silent for 0.20 s") == WAIT
    assert hold_advice(HeartbeatWatch([], awaited=["console"]).verdict(0).reason) == START_OF_ANOTHER
