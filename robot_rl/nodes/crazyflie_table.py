"""The processes of a Crazyflie's graph, real or emulated, as plain data. Imports no ROS."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.crazyflie.settings import CrazyflieConfig, Positioning
from drivers.emulators.crazyflie.firmware import EmulatorSettings
from drivers.emulators.crazyflie.link import LinkConditions
from robot_rl.core.errors import ConfigError
from robot_rl.nodes.table import NodeEntry, Value
from sim.quadrotor.parameters import load_parameters

EMULATED = "emulated"
"""Stands for the URI of a Crazyflie that is emulated here."""


@dataclass(frozen=True)
class CrazyflieOptions:
    """What can be chosen about the graph beside the driver's settings."""

    uri: str = EMULATED
    """Where the Crazyflie is, as radio://0/80/2M/E7E7E7E7E7; "emulated" starts a simulated one here."""
    positioning: Positioning = "lighthouse"
    """Where it knows its place from: lighthouse, flow, or external, by the topic `external_pose`, where an
    emulated one is told its true place."""
    vehicle: str = "gpd-cf2x"
    """Parameter set, or YAML file, of the emulated one."""
    port: int = 19850
    """UDP port of the emulated one."""
    loss: float = 0.0
    """Part of the packets that its link loses, each way."""
    latency: float = 0.0
    """Delay of its link, each way [s]."""
    seed: int = 0
    """Seeds its noise and the accidents of its link."""
    flight_log: str = ""
    """New CSV file for `robot-rl calibrate quadrotor`; "" for none."""

    def __post_init__(self) -> None:
        if self.uri != EMULATED and "://" not in self.uri:
            raise ConfigError(f'uri {self.uri!r} is none: "emulated", or such as radio://0/80/2M/E7E7E7E7E7')
        if not 0 < self.port < 1 << 16:
            raise ConfigError(f"port must be in [1, 65535], not {self.port}")
        # What is wrong is told here, before any process is started.
        CrazyflieConfig(positioning=self.positioning)
        LinkConditions(self.loss, self.latency)
        EmulatorSettings(self.positioning, seed=self.seed)
        load_parameters(self.vehicle)


def crazyflie_table(options: CrazyflieOptions) -> tuple[NodeEntry, ...]:
    """The vehicle, if it is emulated, and the driver."""
    entries = []
    uri = options.uri
    if uri == EMULATED:
        uri = f"udp://127.0.0.1:{options.port}"
        link: dict[str, Value] = {"link.loss": options.loss, "link.latency": options.latency}
        vehicle: dict[str, Value] = {
            "vehicle": options.vehicle,
            "port": options.port,
            "firmware.positioning": options.positioning,
            "firmware.seed": options.seed,
        }
        outside = options.positioning == "external"
        truth = (("ground_truth/pose", "external_pose"),) if outside else ()
        module = "robot_rl.nodes.crazyflie_emulator"
        # Ends after the driver, which lands it.
        entries.append(NodeEntry("vehicle", module, vehicle | link, truth, listens=True))
    driver: dict[str, Value] = {
        "device.uri": uri,
        "device.positioning": options.positioning,
        "flight_log": options.flight_log,
    }
    # Not started again after a crash: after that a person has to look.
    entries.append(NodeEntry("crazyflie", "robot_rl.nodes.crazyflie_process", driver))
    return tuple(entries)
