"""The emulated Crazyflie without a link: packets in, packets out, in its own time."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from drivers.crazyflie.state import (
    FLIGHT_VARIABLES,
    HEALTH_VARIABLES,
    RATE_VARIABLES,
    STATE_VARIABLES,
    VARIANCES,
    Flags,
)
from drivers.emulators.crazyflie import encoding
from drivers.emulators.crazyflie.airframe import Airframe
from drivers.emulators.crazyflie.crtp import Packet, Port, decode, encode
from drivers.emulators.crazyflie.firmware import STEP, EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.link import Channel, LinkConditions
from drivers.emulators.crazyflie.planner import Phase, smooth_piece
from drivers.emulators.crazyflie.supervisor import FailSafe
from robot_rl.core.errors import ConfigError
from robot_rl.core.frames import quaternion_from_rotation_vector, rotation_vector

PING = Packet(Port.LINK, 0, b"\0")


def fly(
    crazyflie: EmulatedCrazyflie, duration: float, again: Packet | None = None, ping: bool = True
) -> None:
    """Let time pass with a ping, and a packet, ten times a second."""
    for step in range(round(duration / STEP)):
        if step % 50 == 0:
            for packet in (PING if ping else None, again):
                if packet is not None:
                    crazyflie.receive(packet)
        crazyflie.advance()


def arm(crazyflie: EmulatedCrazyflie) -> bool:
    (answer,) = crazyflie.receive(Packet(Port.SUPERVISOR, 1, b"\x01\x01"))
    return bool(answer.data[1])


def take_off(crazyflie: EmulatedCrazyflie, height: float = 0.5) -> None:
    fly(crazyflie, 0.1)
    assert arm(crazyflie)
    high_level(crazyflie, "<BBff?f", 7, 0, height, 0.0, False, 1.0)
    fly(crazyflie, 1.5)


def high_level(crazyflie: EmulatedCrazyflie, layout: str, *values: float) -> int:
    (answer,) = crazyflie.receive(Packet(Port.HIGH_LEVEL, 0, struct.pack(layout, *values)))
    return answer.data[3]


def flags(crazyflie: EmulatedCrazyflie) -> Flags:
    (answer,) = crazyflie.receive(Packet(Port.SUPERVISOR, 0, b"\x0c"))
    return Flags(struct.unpack_from("<H", answer.data, 1)[0])


def velocity(x: float, y: float, z: float) -> Packet:
    return Packet(Port.SETPOINT, 0, struct.pack("<B4f", 8, x, y, z, 0.0))


def emulated(fail_safe: FailSafe = "land") -> EmulatedCrazyflie:
    return EmulatedCrazyflie(settings=EmulatorSettings(fail_safe=fail_safe))


def test_it_takes_off_goes_somewhere_and_lands() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.01)
    assert high_level(crazyflie, "<BBBBfffff", 12, 0, 0, 0, 0.6, -0.4, 0.8, 1.0, 2.0) == 0
    fly(crazyflie, 3.5)
    assert crazyflie.truth.position == pytest.approx([0.6, -0.4, 0.8], abs=0.01)
    assert rotation_vector(crazyflie.truth.quaternion) == pytest.approx([0, 0, 1.0], abs=0.02)
    assert Flags.FLYING in flags(crazyflie)
    high_level(crazyflie, "<BBff?f", 8, 0, 0.0, 0.0, True, 2.0)
    fly(crazyflie, 2.5)
    assert crazyflie.truth.position[2] == 0.0
    fly(crazyflie, 6.0)
    assert not flags(crazyflie) & (Flags.FLYING | Flags.ARMED)


@pytest.mark.parametrize(
    ("data", "moves"),
    [
        (struct.pack("<B4f", 7, 0.2, 0.1, 0.7, 90.0), ([0.2, 0.1, 0.7], [0, 0, math.pi / 2])),
        (
            struct.pack(
                "<B9hI3h", 6, 200, 100, 700, *([0] * 6), encoding.compress_quaternion(np.array([0, 0, 0, 1])),
                0, 0, 0,
            ),
            ([0.2, 0.1, 0.7], [0, 0, 0]),
        ),
    ],
)  # fmt: skip
def test_setpoints_of_place(data: bytes, moves: tuple[list[float], list[float]]) -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    fly(crazyflie, 3.0, Packet(Port.SETPOINT, 0, data))
    assert crazyflie.truth.position == pytest.approx(moves[0], abs=0.02)
    assert rotation_vector(crazyflie.truth.quaternion) == pytest.approx(moves[1], abs=0.02)


def test_setpoints_of_motion() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    fly(crazyflie, 1.5, velocity(0.3, -0.2, 0.1))
    assert crazyflie.truth.velocity == pytest.approx([0.3, -0.2, 0.1], abs=0.02)
    # Along the heading: half a turn to the left, then forwards.
    fly(crazyflie, 2.0, Packet(Port.SETPOINT, 0, struct.pack("<B4f", 7, 0.0, 0.0, 0.5, 180.0)))
    fly(crazyflie, 1.5, Packet(Port.SETPOINT, 0, struct.pack("<B4f", 10, 0.3, 0.0, 0.0, 0.5)))
    assert crazyflie.truth.velocity[:2] == pytest.approx([-0.3, 0.0], abs=0.03)
    assert crazyflie.truth.position[2] == pytest.approx(0.5, abs=0.02)


def test_manual_setpoints_tilt_as_the_client_means_it() -> None:
    """A client's positive pitch is sent negative, and leans forwards."""
    crazyflie = emulated()
    take_off(crazyflie)
    thrust = round(0xFFFF * Airframe().mass * 9.81 / (4 * Airframe().max_thrust))
    tilt = struct.pack("<B3fHB", 11, 0.0, -10.0, 0.0, thrust, 0)
    fly(crazyflie, 0.5, Packet(Port.SETPOINT, 0, tilt))
    assert rotation_vector(crazyflie.truth.quaternion)[1] == pytest.approx(math.radians(10), abs=0.01)
    assert crazyflie.truth.velocity[0] > 0.3


def test_the_first_thrust_of_the_old_port_is_locked() -> None:
    crazyflie = emulated()
    fly(crazyflie, 0.1)
    arm(crazyflie)
    lift = Packet(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 50_000))
    fly(crazyflie, 0.5, lift)
    assert crazyflie.truth.position[2] == 0.0
    fly(crazyflie, 0.1, Packet(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 0)))
    fly(crazyflie, 0.5, lift)
    assert crazyflie.truth.position[2] > 0.1


@pytest.mark.parametrize("fail_safe", ["land", "hold", "stock"])
def test_setpoints_that_stop(fail_safe: FailSafe) -> None:
    """While the link is alive, and it has to be told what to do."""
    crazyflie = emulated(fail_safe)
    take_off(crazyflie)
    fly(crazyflie, 1.0, velocity(0.3, 0.0, 0.0))
    fly(crazyflie, 1.5)
    if fail_safe == "stock":  # it levels out, and drifts on
        assert crazyflie.truth.position[2] == pytest.approx(0.5, abs=0.05)
        assert crazyflie.truth.velocity[0] > 0.2
    else:
        assert crazyflie.truth.velocity == pytest.approx([0, 0, 0], abs=0.05)
    fly(crazyflie, 8.0)
    height = crazyflie.truth.position[2]
    assert height == pytest.approx(0.5, abs=0.02) if fail_safe == "hold" else height == 0.0
    assert (Flags.LOCKED in flags(crazyflie)) == (fail_safe == "stock")
    assert (Flags.FLYING in flags(crazyflie)) == (fail_safe == "hold")


@pytest.mark.parametrize(("fail_safe", "height"), [("land", 0.0), ("hold", 0.5), ("stock", 0.5)])
def test_a_link_that_dies_while_it_flies_by_itself(fail_safe: FailSafe, height: float) -> None:
    crazyflie = emulated(fail_safe)
    take_off(crazyflie)
    fly(crazyflie, 9.0, ping=False)
    assert crazyflie.truth.position[2] == pytest.approx(height, abs=0.02)


def test_given_back_to_a_high_level_commander_without_a_path_it_falls() -> None:
    """As with the firmware, where each setpoint makes that one forget its path."""
    crazyflie = emulated("stock")
    take_off(crazyflie)
    end = Packet(Port.SETPOINT, 1, struct.pack("<BI", 0, 0))
    crazyflie.receive(velocity(0.0, 0.0, 0.0))
    assert Flags.PATH_ACTIVE not in flags(crazyflie)
    assert high_level(crazyflie, "<BBBBfffff", 12, 0, 0, 0, 0.0, 0.0, 0.5, 0.0, 1.0) == 0
    crazyflie.receive(end)
    fly(crazyflie, 1.5)
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.02)
    assert high_level(crazyflie, "<BBff?f", 7, 0, 0.5, 0.0, False, 1.0) != 0  # it flies already
    crazyflie.receive(velocity(0.0, 0.0, 0.0))
    crazyflie.receive(end)
    fly(crazyflie, 0.5)
    assert crazyflie.truth.position[2] == 0.0


def test_a_short_silence_changes_nothing() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    fly(crazyflie, 1.5, ping=False)
    fly(crazyflie, 5.0)
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.01)


def test_the_emergency_stop_locks_it() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    crazyflie.receive(Packet(Port.SUPERVISOR, 1, b"\x03"))
    fly(crazyflie, 1.0)
    assert crazyflie.truth.position[2] == 0.0
    assert Flags.LOCKED in flags(crazyflie)
    assert not arm(crazyflie)


def test_its_watchdog_has_to_be_fed_once_it_was() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    feed = Packet(Port.SUPERVISOR, 1, b"\x04")
    fly(crazyflie, 2.0, feed)
    assert Flags.FLYING in flags(crazyflie)
    fly(crazyflie, 1.5)
    assert Flags.LOCKED in flags(crazyflie)


def test_upside_down_it_stops_and_has_crashed() -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    roll = Packet(Port.SETPOINT, 0, struct.pack("<B3fHB", 11, 700.0, 0.0, 0.0, 30_000, 1))
    fly(crazyflie, 1.5, roll)
    assert Flags.CRASHED in flags(crazyflie)
    assert not crazyflie.rotor_command.any()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x07",
        struct.pack("<B4f", 7, math.nan, 0, 0.5, 0),
        struct.pack("<B4f", 8, math.inf, 0, 0, 0),
        bytes([99, 1, 2, 3]),
    ],
)
def test_setpoints_that_are_none_change_nothing(data: bytes) -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    fly(crazyflie, 1.0, Packet(Port.SETPOINT, 0, data))
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.01)


@pytest.mark.parametrize(
    ("layout", "values"),
    [
        ("<BBff?f", (7, 0, 0.5, 0.0, False, 0.0)),
        ("<BBff?f", (7, 0, math.nan, 0.0, False, 1.0)),
        ("<BBBBfffff", (12, 0, 0, 0, math.inf, 0, 0.5, 0, 1.0)),
        ("<BBBBBBf", (13, 0, 0, 0, 0, 3, 1.0)),
        ("<BBBBIB", (6, 1, 1, 0, 4090, 1)),
        ("<BBB", (77, 0, 0)),
    ],
)
def test_high_level_commands_that_make_no_sense_are_refused(layout: str, values: tuple) -> None:
    crazyflie = emulated()
    take_off(crazyflie)
    assert high_level(crazyflie, layout, *values) != 0
    fly(crazyflie, 0.5)
    assert crazyflie.truth.position == pytest.approx([0, 0, 0.5], abs=0.01)


def test_random_packets_do_not_end_it() -> None:
    rng = np.random.default_rng(0)
    crazyflie = emulated()
    for _ in range(3000):
        crazyflie.receive(
            Packet(int(rng.integers(16)), int(rng.integers(4)), rng.bytes(int(rng.integers(31))))
        )
    for _ in range(100):
        for packet in crazyflie.advance():
            assert decode(encode(packet)) == packet


def test_it_knows_the_variables_that_the_driver_logs() -> None:
    names = {variable.name: variable.letter for variable in emulated().log.variables}
    health = [(*HEALTH_VARIABLES, *variances) for variances in VARIANCES.values()]
    for block in (STATE_VARIABLES, RATE_VARIABLES, FLIGHT_VARIABLES, *health):
        assert struct.calcsize("<" + "".join(names[name] for name in block)) <= 26
        assert len(block) <= 9  # what fits into the packet that makes a block


def test_without_poses_from_outside_it_gets_lost() -> None:
    crazyflie = EmulatedCrazyflie(settings=EmulatorSettings(positioning="external"))
    pose = Packet(Port.LOCALIZATION, 1, struct.pack("<B7f", 8, 0, 0, 0, 0, 0, 0, 1))
    fly(crazyflie, 1.0, pose)
    assert math.sqrt(crazyflie.estimator.variance) < 0.01
    fly(crazyflie, 1.0)
    assert math.sqrt(crazyflie.estimator.variance) > 0.1


def test_a_planned_piece_meets_its_conditions() -> None:
    rng = np.random.default_rng(1)
    start, goal = rng.normal(size=(3, 4)), rng.normal(size=4)
    piece = smooth_piece(start, goal, 1.7)
    assert piece.at(0.0) == pytest.approx(start)
    assert piece.at(1.7) == pytest.approx(np.stack([goal, np.zeros(4), np.zeros(4)]), abs=1e-9)
    slope = (piece.at(0.8 + 1e-5)[0] - piece.at(0.8 - 1e-5)[0]) / 2e-5
    assert piece.at(0.8)[1] == pytest.approx(slope, rel=1e-6)


def test_paths_backwards_slower_moved_and_turned() -> None:
    """A path of one metre along x, in one second."""
    planner = emulated().commander.planner
    coefficients = np.zeros((4, 8))
    coefficients[0, 1] = 1.0
    planner.memory[:132] = struct.pack("<33f", *coefficients.ravel(), 1.0)
    assert planner.define(0, 0, 1)
    assert planner.follow(0.0, 0, 2.0)
    assert planner.phase is Phase.FLYING
    assert planner.reference(1.0)[:2, 0] == pytest.approx([0.5, 0.5])
    assert planner.reference(9.0)[:2, 0] == pytest.approx([1.0, 0.0])
    planner.follow(0.0, 0, 1.0, backwards=True)
    assert planner.reference(0.25)[:2, 0] == pytest.approx([0.75, -1.0])
    planner.follow(0.0, 0, 1.0, start=np.array([1.0, 2.0, 3.0, math.pi / 2]), turned=True)
    assert planner.reference(0.5)[0] == pytest.approx([1.0, 2.5, 3.0, math.pi / 2])


def test_quaternions_in_32_bits() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        q = quaternion_from_rotation_vector(rng.normal(size=3))
        back = encoding.decompress_quaternion(encoding.compress_quaternion(q))
        assert abs(float(q @ back)) > 1.0 - 1e-5


def test_a_lossy_link_is_the_same_for_a_seed() -> None:
    def heard(seed: int) -> list[bytes]:
        channel = Channel(LinkConditions(loss=0.3, latency=0.01, jitter=0.005), (seed, 0))
        for i in range(1000):
            channel.put(bytes([i % 256, i // 256]), 0.001 * i)
        assert not channel.take(0.005)
        return channel.take(100.0)

    assert heard(1) == heard(1)
    assert heard(1) != heard(2)
    assert len(heard(1)) == pytest.approx(700, abs=50)
    with pytest.raises(ConfigError, match="loss must be in"):
        LinkConditions(loss=1.5)
