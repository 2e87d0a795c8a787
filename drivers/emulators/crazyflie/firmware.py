"""The emulated Crazyflie: all ports, the controller and a vehicle, in time that somebody else lets pass.

It speaks protocol version 12 as far as clients need it to connect, log, set parameters, arm, fly by streamed
setpoints or by the high-level commander, and upload paths. Not there: compressed paths, spirals, other
memories, the app channel, persistent parameters.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from drivers.emulators.crazyflie.airframe import Airframe
from drivers.emulators.crazyflie.battery import Battery
from drivers.emulators.crazyflie.commander import Commander
from drivers.emulators.crazyflie.controller import Controller
from drivers.emulators.crazyflie.crtp import Packet, Port
from drivers.emulators.crazyflie.encoding import compress_quaternion
from drivers.emulators.crazyflie.estimator import Estimator, Positioning
from drivers.emulators.crazyflie.services import LogService, MemoryService, ParameterService
from drivers.emulators.crazyflie.supervisor import FailSafe, Mode, Supervisor
from drivers.emulators.crazyflie.tables import Parameter, Variable
from drivers.emulators.crazyflie.vehicle import RigidVehicle, Vehicle, VehicleState
from robot_rl.core.errors import ConfigError

STEP = 0.002
"""Period of controller and vehicle [s]."""
PROTOCOL = 12
"""Version of the protocol: tables with 16-bit numbers, a port of the supervisor's own."""
SOURCE = b"Bitcraze Crazyflie"
"""What a Crazyflie calls itself."""
GRAVITY = 9.81
"""Unit of logged accelerations [m/s^2]."""


@dataclass(frozen=True)
class EmulatorSettings:
    """What the emulated vehicle is like, beside its airframe."""

    positioning: Positioning = "lighthouse"
    """Where it knows its place from."""
    fail_safe: FailSafe = "land"
    """What it does when it is not commanded any more."""
    accelerometer_noise: float = 0.05
    """Standard deviation of each logged value [m/s^2]."""
    gyro_noise: float = 0.002
    """Standard deviation of each logged value [rad/s]."""
    charge: float = 0.9
    """Part of the battery's capacity at the start, in [0, 1]."""
    capacity: float = 0.25
    """Of the battery [Ah]."""
    seed: int = 0
    """Seeds the noise."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.charge <= 1.0:
            raise ConfigError(f"charge must be in [0, 1], not {self.charge}")
        if not 0.0 < self.capacity < math.inf:
            raise ConfigError(f"capacity must be more than 0 Ah, not {self.capacity}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, not {self.seed}")


class EmulatedCrazyflie:
    """Packets in, packets out; `advance` lets one step of time pass.

    Args:
        airframe: What its firmware takes the vehicle for.
        vehicle: What flies; None for a rigid body with this airframe.
        settings: The rest.
    """

    def __init__(
        self,
        airframe: Airframe | None = None,
        vehicle: Vehicle | None = None,
        settings: EmulatorSettings | None = None,
    ) -> None:
        self.settings = settings or EmulatorSettings()
        airframe = airframe or Airframe()
        self.vehicle: Vehicle = vehicle or RigidVehicle(airframe)
        self.supervisor = Supervisor()
        self.commander = Commander(self.settings.fail_safe)
        self.estimator = Estimator(self.settings.positioning, self.settings.seed)
        self.battery = Battery(self.settings.capacity, self.settings.charge)
        self.skipped = 0.0
        """Time that has passed without the vehicle [s]; only its log knows of it."""
        self._controller = Controller(airframe)
        self._steps = 0
        self._heard_at = -math.inf
        self._noise = np.random.default_rng((self.settings.seed, 1))
        self._truth = self.vehicle.state()
        self._estimate = self._truth
        self._command = np.zeros(4)
        self.log = LogService(self._variables())
        self.parameters = ParameterService(self._parameters())
        self._memory = MemoryService(self.commander.planner.memory)

    @property
    def now(self) -> float:
        """Time since the firmware's start [s]."""
        return self._steps * STEP

    @property
    def silence(self) -> float:
        """Time since the last packet of a client [s]."""
        return self.now - self._heard_at

    @property
    def truth(self) -> VehicleState:
        """Where the vehicle really is."""
        return self._truth

    @property
    def rotor_command(self) -> np.ndarray:
        """(4,) duty cycles of the motors, in [0, 1]."""
        return self._command

    def receive(self, packet: Packet) -> list[Packet]:
        """Take a packet; the answers to it."""
        self._heard_at = self.now
        port, channel, data = packet
        answer: bytes | None = None
        if port == Port.LINK:
            answer = SOURCE + b"\0" if channel == 1 else data
        elif port == Port.PLATFORM and channel == 1 and data[:1] == b"\0":
            answer = bytes([0, PROTOCOL])
        elif port == Port.LOG:
            answer = self.log.handle(channel, data, self._milliseconds)
        elif port == Port.PARAM:
            answer = self.parameters.handle(channel, data)
        elif port == Port.MEMORY:
            answer = self._memory.handle(channel, data)
        elif port == Port.COMMANDER:
            self.commander.roll_pitch(data, self.now)
        elif port == Port.SETPOINT:
            self.commander.generic(channel, data, self.now)
        elif port == Port.HIGH_LEVEL and data:
            status = self.commander.high_level(data, self.now, self._estimate)
            answer = (data + bytes(3))[:3] + bytes([status])
        elif port == Port.SUPERVISOR and data:
            answer = self._supervise(channel, data)
        elif port == Port.LOCALIZATION:
            self._localise(channel, data)
        return [] if answer is None else [Packet(port, channel, answer)]

    def _supervise(self, channel: int, data: bytes) -> bytes | None:
        command = data[0]
        head = bytes([command | 0x80])
        if channel == 0:
            if command == 0x0C:
                return head + struct.pack("<H", self._info())
            return head + bytes([self._info() >> command - 1 & 1]) if 1 <= command <= 11 else None
        if command == 1 and len(data) > 1:
            granted = self.supervisor.arm(bool(data[1]), self.now)
            return head + bytes([granted, self.supervisor.is_armed])
        if command == 2:
            return head + bytes([self.supervisor.recover(), not self.supervisor.is_crashed])
        if command == 3:
            self.supervisor.stop_now()
        elif command == 4:
            self.supervisor.feed_watchdog(self.now)
        return None

    def _localise(self, channel: int, data: bytes) -> None:
        if channel == 0 and len(data) == 12:
            position = struct.unpack("<3f", data)
        elif channel == 1 and data[:1] == b"\x08" and len(data) == 29:
            position = struct.unpack("<7f", data[1:])[:3]
        else:
            return
        self.estimator.measure(np.array(position), self._truth, self.now)

    def advance(self) -> list[Packet]:
        """Let `STEP` pass; the packets that are sent in it."""
        self._steps += 1
        now, supervisor = self.now, self.supervisor
        self._estimate = self.estimator.update(self._truth, now, STEP)
        age = self.commander.update(now, self._heard_at, self._estimate, supervisor.is_flying)
        mode = supervisor.update(now, self._truth, self._command, age)
        if mode is Mode.OFF:
            self.commander.shut_down()
        setpoint = self.commander.setpoint(now, mode, self._estimate)
        speeds = self._controller.update(setpoint, self._estimate, STEP)
        self._command = self.battery.duty(speeds)
        self.vehicle.advance(self.battery.rotor_speeds(self._command), STEP)
        self.battery.drain(self._command, STEP)
        self._truth = self.vehicle.state()
        return [Packet(Port.LOG, LogService.DATA, data) for data in self.log.due(self._milliseconds)]

    @property
    def _milliseconds(self) -> int:
        return round(1000.0 * (self.now + self.skipped))

    def _info(self) -> int:
        planner = self.commander.planner
        return self.supervisor.info(planner.is_active, planner.is_finished(self.now))

    def _variables(self) -> list[Variable]:
        """What can be logged."""
        rows: list[Variable] = []
        axes = ("x", "y", "z")
        for i, axis in enumerate(axes):
            rows += [
                Variable(f"stateEstimate.{axis}", "f", lambda i=i: self._estimate.position[i]),
                Variable(f"stateEstimate.v{axis}", "f", lambda i=i: self._estimate.velocity[i]),
                Variable(f"stateEstimateZ.{axis}", "h", lambda i=i: 1e3 * self._estimate.position[i]),
                Variable(f"stateEstimateZ.v{axis}", "h", lambda i=i: 1e3 * self._estimate.velocity[i]),
                Variable(f"acc.{axis}", "f", lambda i=i: self._accelerometer(i)),
                Variable(f"gyro.{axis}", "f", lambda i=i: math.degrees(self._gyro(i))),
            ]
        for name in self.estimator.variances():
            rows.append(Variable(f"kalman.{name}", "f", lambda name=name: self.estimator.variances()[name]))
        for i, name in enumerate(("qx", "qy", "qz", "qw")):
            rows.append(Variable(f"stateEstimate.{name}", "f", lambda i=i: self._estimate.quaternion[i]))
            rows.append(Variable(f"motor.m{i + 1}", "H", lambda i=i: 0xFFFF * self._command[i]))
        # Pitch is positive with the nose up, against the y axis.
        for i, (name, sign) in enumerate((("rateRoll", 1.0), ("ratePitch", -1.0), ("rateYaw", 1.0))):
            rows.append(Variable(f"stateEstimateZ.{name}", "h", lambda i=i, s=sign: 1e3 * s * self._gyro(i)))
        return [
            *rows,
            Variable("stateEstimateZ.quat", "I", lambda: compress_quaternion(self._estimate.quaternion)),
            Variable("pm.vbat", "f", lambda: self.battery.voltage),
            Variable("pm.vbatMV", "H", lambda: 1e3 * self.battery.voltage),
            Variable("supervisor.info", "H", self._info),
        ]

    def _accelerometer(self, axis: int) -> float:
        noise = self._noise.normal(0.0, self.settings.accelerometer_noise)
        return (float(self._truth.specific_force[axis]) + noise) / GRAVITY

    def _gyro(self, axis: int) -> float:
        return float(self._truth.rates[axis]) + self._noise.normal(0.0, self.settings.gyro_noise)

    def _parameters(self) -> list[Parameter]:
        """What can be set."""
        lighthouse, flow = (int(self.settings.positioning == kind) for kind in ("lighthouse", "flow"))
        return [
            Parameter("stabilizer.estimator", "B", 2),
            Parameter("stabilizer.controller", "B", 1),
            Parameter("stabilizer.stop", "B", 0, on_write=self._stop_parameter),
            Parameter("kalman.resetEstimation", "B", 0, on_write=lambda _: self.estimator.reset()),
            Parameter("commander.enHighLevel", "B", 1),
            Parameter("supervisor.tmblChckEn", "B", 1, on_write=self._tumble_parameter),
            Parameter("flightmode.stabModeRoll", "B", 1, on_write=self._rate_mode),
            Parameter("flightmode.stabModePitch", "B", 1, on_write=self._rate_mode),
            Parameter("posCtlPid.xyVelMax", "f", 1.0),
            Parameter("posCtlPid.zVelMax", "f", 1.0),
            Parameter("locSrv.extPosStdDev", "f", 0.01),
            Parameter("locSrv.extQuatStdDev", "f", 0.0045),
            Parameter("deck.bcLighthouse4", "B", lighthouse, read_only=True),
            Parameter("deck.bcFlow2", "B", flow, read_only=True),
        ]

    def _stop_parameter(self, value: float) -> None:
        if value:
            self.supervisor.stop_now()

    def _tumble_parameter(self, value: float) -> None:
        self.supervisor.tumble_check = bool(value)

    def _rate_mode(self, _: float) -> None:
        by_angle = [self.parameters[f"flightmode.stabMode{name}"].value for name in ("Roll", "Pitch")]
        self.commander.rate_mode = not by_angle[0], not by_angle[1]
