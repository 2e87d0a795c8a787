"""The one way out for everything that moves a vehicle: streamed setpoints and high-level commands.

The firmware obeys whichever came last, so a single setpoint that leaves after a landing was ordered takes the
vehicle away from that landing. Hence one lock, under which the fault is looked at before each packet. The
emergency stop goes past it: on a bad link cflib may hold a sender up for seconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from drivers.crazyflie.connection import HIGH_LEVEL_PORT, Connection
from drivers.crazyflie.fault import FaultLatch
from drivers.crazyflie.limits import limited_duration, limited_position
from drivers.crazyflie.setpoints import Setpoint
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import CrazyflieState
from robot_rl.core.errors import VehicleError
from robot_rl.core.frames import swing_twist

UNANSWERED = 3
"""How often what is not answered is sent: radio links repeat it themselves, others do not."""
HOLD_DURATION = 0.5
"""Of coming to a stand where it is [s]."""
LANDING_SPEED = 0.3
"""Mean, of landings that nobody has asked for [m/s]."""


class Outlet:
    """Sends what moves a vehicle, unless there is a fault.

    Args:
        config: Its limits.
        fault: Its latched fault.
        connection: Its link.
    """

    def __init__(self, config: CrazyflieConfig, fault: FaultLatch, connection: Connection) -> None:
        self._config = config
        self._fault = fault
        self._connection = connection
        self._lock = threading.Lock()
        self._streamed_at = math.nan
        """When the last setpoint was sent [s]; NaN while the high-level commander has the vehicle."""

    def use(self, connection: Connection) -> None:
        """Go on over another link."""
        with self._lock:
            self._connection, self._streamed_at = connection, math.nan

    def command(self, command: int, send: Callable[[], None]) -> None:
        """Send a high-level command until it is answered; the end of a stream goes before it.

        Raises:
            RobotFaultError: There is a fault, or there came one.
            VehicleError: It was refused, or not answered.
        """

        def attempt() -> None:
            with self._lock:
                self._fault.check()
                if not math.isnan(self._streamed_at):
                    self._end_stream()
                send()

        status = self._connection.ask(HIGH_LEVEL_PORT, command, attempt)[2]
        if status:
            raise VehicleError(f"the Crazyflie refuses the command {command}: error {status}")

    def stream(self, send: Setpoint, state: CrazyflieState) -> None:
        """Send a setpoint to a vehicle in this state; raises `RobotFaultError` for a fault."""
        with self._lock:
            self._fault.check()
            self._streamed_at = time.monotonic()
            send(self._connection.client.commander, state.position)

    def end_pause(self, now: float, state: CrazyflieState) -> None:
        """Hold the place of a vehicle whose stream of setpoints has paused."""
        config = self._config
        with self._lock:
            if not now - self._streamed_at > config.setpoint_timeout:
                return
            self._end_stream()
            goal = limited_position(config, state.position)
            duration = limited_duration(config, state.position, goal, HOLD_DURATION)
            yaw = swing_twist(state.quaternion)[1]
            for _ in range(UNANSWERED):
                self._connection.client.high_level_commander.go_to(*goal.tolist(), yaw, duration)

    def land_anyway(self, state: CrazyflieState) -> None:
        """Land after a fault, and without a word when even that fails."""
        with self._lock:
            self._end_stream()
            duration = max(1.0, float(state.position[2]) / LANDING_SPEED)
            for _ in range(UNANSWERED):
                self._connection.client.high_level_commander.land(0.0, duration, yaw=None)

    def _end_stream(self) -> None:
        """Give it back to its high-level commander."""
        self._streamed_at = math.nan
        for _ in range(UNANSWERED):
            self._connection.client.commander.send_notify_setpoint_stop()
