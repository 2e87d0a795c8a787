"""The one way out for everything that moves a vehicle: streamed setpoints and high-level commands.

The firmware obeys whichever came last, so a single setpoint that leaves after a landing was ordered takes the
vehicle away from that landing. Hence one lock, under which the fault is looked at before each packet. The
emergency stop goes past it: on a bad link cflib may hold a sender up for seconds.

A stream has to be ended by a word of its own ("notify stop") before the high-level commander has the vehicle.
But each setpoint makes that one forget its path, and without a path it stops the motors (`commander.c` and
`crtp_commander_high_level.c` of the firmware). So the word is given only after the vehicle has said that it
has a path again: it answered the command, or tells that it flies one.
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
HAND_OVER_TIMEOUT = 2.0
"""After this time the end of a stream is told in any case [s]: the firmware has stopped the motors then."""
TAKE_OFF, LAND = 7, 8
"""Commands that the firmware carries out only once: it refuses them while it does that already."""
BUSY = 1
"""The status of such a refusal."""


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
        self._order: Callable[[], None] | None = None
        """What the high-level commander is told again and again, until it has a path and the stream ends."""
        self._ordered_at = math.nan
        self._ordered_faults = 0
        self._retired = False

    def use(self, connection: Connection) -> None:
        """Go on over another link."""
        with self._lock:
            self._connection, self._streamed_at, self._order = connection, math.nan, None

    def retire(self) -> None:
        """From now on send nothing but landings."""
        with self._lock:
            self._retired = True

    def _check(self) -> None:
        """Raise for a fault, or at the end of all commands."""
        self._fault.check()
        if self._retired:
            raise VehicleError("the Crazyflie lands and is let go of: it takes no more commands")

    @property
    def is_handing_over(self) -> bool:
        """Whether `hand_over` has something to do."""
        return self._order is not None

    def command(self, command: int, send: Callable[[], None], moves: bool = True) -> None:
        """Send a high-level command until it is answered; a stream ends with that.

        Args:
            command: Its first byte.
            send: Sends it.
            moves: Whether it gives the high-level commander a path.

        Raises:
            RobotFaultError: There is a fault, or there came one.
            VehicleError: It was refused, or not answered.
        """
        sent_at, sendings = -math.inf, 0

        def attempt() -> None:
            nonlocal sent_at, sendings
            with self._lock:
                if command == LAND:
                    self._fault.check()
                else:
                    self._check()
                sent_at, sendings = time.monotonic(), sendings + 1
                if moves:
                    self._order = None
                send()

        status = self._connection.ask(HIGH_LEVEL_PORT, command, attempt)[2]
        # The first of several answers may have been lost.
        is_doing = status == BUSY and (command == LAND or (command == TAKE_OFF and sendings > 1))
        if status and not is_doing:
            raise VehicleError(f"the Crazyflie refuses the command {command}: error {status}")
        with self._lock:
            # A setpoint that was sent since has taken the vehicle back.
            if moves and self._streamed_at <= sent_at:
                self._fault.check()
                self._end_stream()

    def stream(self, send: Setpoint, state: CrazyflieState) -> None:
        """Send a setpoint to a vehicle in this state.

        Raises:
            RobotFaultError: There is a fault.
            VehicleError: It is let go of.
        """
        with self._lock:
            self._check()
            self._streamed_at, self._order = time.monotonic(), None
            send(self._connection.client.commander, state.position)

    def end_pause(self, now: float, state: CrazyflieState, idle_at: float) -> None:
        """Have the place held by a vehicle whose stream of setpoints has paused.

        Args:
            now: Steady time [s].
            state: Where it is.
            idle_at: When the vehicle told that it does not fly [s]; -inf if it told last that it does.
        """
        config = self._config
        with self._lock:
            if self._order is not None or not now - self._streamed_at > config.setpoint_timeout:
                return
            if idle_at > self._streamed_at:
                self._end_stream()  # with a path its motors would start as soon as it is armed
                return
            goal = limited_position(config, state.position)
            duration = limited_duration(config, state.position, goal, HOLD_DURATION)
            yaw = swing_twist(state.quaternion)[1]
            go_to = self._connection.client.high_level_commander.go_to
            self._give(lambda: go_to(*goal.tolist(), yaw, duration))

    def land_anyway(self, state: CrazyflieState) -> None:
        """Land after a fault, and without a word when even that fails."""
        with self._lock:
            duration = max(1.0, float(state.position[2]) / LANDING_SPEED)
            land = self._connection.client.high_level_commander.land
            self._give(lambda: land(0.0, duration, yaw=None))

    def _give(self, order: Callable[[], None]) -> None:
        """Tell the high-level commander, and while there is a stream go on with that in `hand_over`."""
        for _ in range(UNANSWERED):
            order()
        if not math.isnan(self._streamed_at):
            self._order, self._ordered_at = order, time.monotonic()
            self._ordered_faults = self._fault.count

    def hand_over(self, now: float, path_at: float, idle_at: float) -> None:
        """Go on with ending a stream, unless there came a fault since.

        Args:
            now: Steady time [s].
            path_at: When the vehicle told that its high-level commander has a path [s]; -inf if it told last
                that there is none.
            idle_at: As for `end_pause`.
        """
        with self._lock:
            if self._order is None:
                return
            if self._fault.count != self._ordered_faults:
                self._order = None
            elif max(path_at, idle_at, now - HAND_OVER_TIMEOUT) > self._ordered_at:
                self._end_stream()
            else:
                self._order()

    def _end_stream(self) -> None:
        """Give it back to its high-level commander."""
        self._streamed_at, self._order = math.nan, None
        for _ in range(UNANSWERED):
            self._connection.client.commander.send_notify_setpoint_stop()
