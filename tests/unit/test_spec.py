from dataclasses import replace

import numpy as np
import pytest

from robot_rl.core.errors import SpecError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec

SPEC = Spec.of(
    {
        "tcp.position": ArraySpec((3,), "m", "base", -1, 1, scale=0.2, names=("x", "y", "z")),
        "gripper": ArraySpec((), "m", low=0, high=0.08, scale=0.04),
        "wrist.image": ArraySpec((4, 4, 3), dtype="uint8"),
    }
)
ENV = EnvSpec(SPEC, ArraySpec((2,), low=-1, high=1, names=("x", "gripper")), 10.0, "toy")
SCALED = ("tcp.position", replace(SPEC["tcp.position"], scale=0.5))


def observation() -> dict[str, np.ndarray]:
    return {
        "tcp.position": np.array([0.1, 0.2, 0.3], np.float32),
        "gripper": np.array(0.04, np.float32),
        "wrist.image": np.zeros((4, 4, 3), np.uint8),
    }


def test_vector_packs_the_floats_in_order_and_unpacks_them():
    vector = SPEC.vector(observation())
    np.testing.assert_array_equal(vector, np.array([0.1, 0.2, 0.3, 0.04], np.float32))
    assert SPEC.vector_size == 4
    np.testing.assert_allclose(SPEC.vector_scale, [0.2, 0.2, 0.2, 0.04])
    parts = SPEC.unpack(np.stack([vector, 2 * vector]))
    assert parts["tcp.position"].shape == (2, 3)
    assert parts["gripper"].shape == (2,)
    np.testing.assert_array_equal(parts["gripper"], np.array([0.04, 0.08], np.float32))


def test_validate_accepts_what_fits():
    assert SPEC.validate(observation()).keys() == observation().keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gripper": np.array(0.2, np.float32)}, r"gripper: .* leaves its bounds \[0, 0.08\]"),
        ({"gripper": np.array(np.nan, np.float32)}, "gripper: not finite"),
        ({"gripper": np.array(0.01)}, "gripper: dtype float64, expected float32"),
        ({"tcp.position": np.zeros(2, np.float32)}, r"shape \(2,\), expected \(3,\)"),
        ({"tcp.positon": np.zeros(3, np.float32)}, "did you mean 'tcp.position'"),
    ],
)
def test_validate_says_what_is_wrong(change, message):
    with pytest.raises(SpecError, match=message):
        SPEC.validate(observation() | change)


def test_validate_names_a_missing_array():
    rest = {k: v for k, v in observation().items() if k != "gripper"}
    with pytest.raises(SpecError, match="'gripper' is missing"):
        SPEC.validate(rest)


def test_json_round_trip_keeps_the_digest():
    again = EnvSpec.from_json(ENV.to_json())
    assert again == ENV
    assert again.digest == ENV.digest


def test_an_altered_spec_is_noticed():
    data = ENV.to_json()
    data["control_rate"] = 20.0
    with pytest.raises(SpecError, match="altered"):
        EnvSpec.from_json(data)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (EnvSpec(SPEC, ENV.action, 20.0), "control rate 20.0 Hz, expected 10.0 Hz"),
        (
            EnvSpec(SPEC, ArraySpec((3,), low=-1, high=1), 10.0),
            r"the action has shape \(3,\), expected \(2,\)",
        ),
        (
            EnvSpec(SPEC, replace(ENV.action, names=("x", "roll")), 10.0),
            "1 of the action is 'roll', expected",
        ),
        (EnvSpec(Spec((SCALED, *SPEC.entries[1:])), ENV.action, 10.0), r"has scale 0.5, expected"),
        (EnvSpec(Spec(SPEC.entries[:2]), ENV.action, 10.0), r"missing \['wrist.image'\]"),
        (EnvSpec(Spec(SPEC.entries[::-1]), ENV.action, 10.0), "another order"),
    ],
)
def test_check_same_names_the_first_difference(other, message):
    with pytest.raises(SpecError, match=message):
        ENV.check_same(other, "the task", "the policy")


def test_the_name_is_not_part_of_the_digest():
    ENV.check_same(EnvSpec(SPEC, ENV.action, 10.0, "variant"), "the task", "the policy")


def test_bad_specs_are_refused():
    with pytest.raises(SpecError, match="2 element names"):
        ArraySpec((3,), names=("x", "y"))
    with pytest.raises(SpecError, match="scale"):
        ArraySpec((3,), scale=0.0)
    with pytest.raises(SpecError, match="above"):
        ArraySpec((3,), low=1.0, high=0.0)
