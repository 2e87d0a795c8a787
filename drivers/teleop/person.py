"""A person at one or several devices, as a `Teleop`.

By construction nothing jumps when control changes hands: a twist moves the target that the arm holds already,
and the gripper stays as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from drivers.teleop.mapping import deflection, twist_from_device
from drivers.teleop.settings import TeleopConfig
from drivers.teleop.takeover import GRIPPER_BUTTONS, Hand, Takeover
from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import ConfigError, DeviceError
from robot_rl.core.protocols import InputDevice
from robot_rl.core.types import BUTTONS, ArmState, DeviceState, Episode, Mode, TeleopCommand

POLICY = "policy"
"""Names the policy where it is in control."""

_ANY = frozenset(BUTTONS)


class Change(NamedTuple):
    """Control went from one to another, or its holder was lost or came back."""

    who: str
    """Who is in control from now on: a device or "policy"."""
    previous: str
    """Who was until now."""
    reason: str
    """"motion", "button", "still", "dead man", "lost", "back" or "episode", as
    `robot_rl.data.json_messages.ControlChange` explains them."""


@runtime_checkable
class Follower(Protocol):
    """An `InputDevice` that has to know where the arm is, such as `drivers.teleop.leader.LeaderArm`."""

    def see(self, state: ArmState, in_control: bool) -> None:
        """Called before each `read`, once there is a state."""
        ...


class DevicePerson:
    """The `Teleop` of a person with devices in her hands.

    In DEMO and LABEL episodes she acts throughout: a hand at rest holds the arm still. In TRAIN episodes she
    acts while one of her devices is in control (`drivers.teleop.takeover`), in EVAL episodes never. A device
    that is lost while it is in control holds the arm still; control never goes back to the policy by that.
    """

    def __init__(
        self,
        devices: Mapping[str, InputDevice],
        config: TeleopConfig,
        *,
        on_e_stop: Callable[[str], None] = lambda reason: None,
        on_change: Callable[[Change], None] = lambda change: None,
        on_notice: Callable[[str], None] = lambda text: None,
        on_press: Callable[[str, frozenset[str]], None] = lambda name, buttons: None,
        clock: Callable[[], int] = time.monotonic_ns,
        stages: int = 1,
    ) -> None:
        """Put devices into a person's hands.

        Args:
            devices: Name to device; the order decides between two that act at once.
            config: How motion is made of them, and when they take control.
            on_e_stop: Called with a reason at once when an e-stop button goes down.
            on_change: Called when control changes hands.
            on_notice: Called with what a person should know, in a sentence.
            on_press: Called with a device's name and its buttons that went down.
            clock: Steady time [ns]; that of the devices' stamps.
            stages: Stages of the task, the last of which the button "label" stands for.
        """
        if not devices:
            raise ConfigError('a person needs a device: teleop.devices is empty; the default is ["console"]')
        self.config = config
        self.stages = stages
        self._devices = dict(devices)
        self._followers = {name: d for name, d in devices.items() if isinstance(d, Follower)}
        self._on_e_stop = on_e_stop
        self._on_change = on_change
        self._on_notice = on_notice
        self._on_press = on_press
        self._clock = clock
        self._takeover = Takeover(config)
        self._mode = Mode.EVAL
        self._states: dict[str, DeviceState | None] = dict.fromkeys(devices)
        """What each device says now; None for one that is lost."""
        self._silent: set[str] = set()
        """Those that are lost for their silence alone."""
        self._troubles: dict[str, str] = dict.fromkeys(devices, "")
        """Why it is lost, once that was told; "" when it is there."""
        self._held: dict[str, frozenset[str]] = dict.fromkeys(devices, _ANY)
        """Buttons that were held down when it was last read."""
        self._stopping: set[str] = set()
        """Devices whose e-stop button was down when they were last read."""
        self._who = ""
        """The device in control, "" for the policy."""
        self._lost = False
        self._closed = False
        self._edges: list[str] = []
        """Gripper buttons that went down since the last command."""
        self._outcome = ""

    def reset(self, episode: Episode, state: ArmState) -> None:
        """Begin an episode with the gripper as it is. Who is in control stays so, unless the mode changes."""
        if episode.mode is not self._mode:
            self._mode = episode.mode
            self._takeover.clear()
            self.poll(state)
        self._closed = state.gripper_closed
        self._edges, self._outcome = [], ""

    def read(self, state: ArmState) -> TeleopCommand:
        """What she wants now; reads all devices."""
        self.poll(state)
        outcome, self._outcome = self._outcome, ""
        edges, self._edges = self._edges, []
        if self._mode is Mode.EVAL:
            return TeleopCommand(state.stamp, active=False, twist=np.zeros(6))
        if not self._who:
            self._closed = state.gripper_closed
            return TeleopCommand(state.stamp, active=False, twist=np.zeros(6), outcome=outcome)
        for edge in edges:
            self._closed = not self._closed if edge == "toggle" else edge == "close"
        return TeleopCommand(
            state.stamp,
            active=True,
            twist=self._twist(state),
            gripper=-1 if self._closed else 1,
            outcome=outcome,
            label=self._label(),
            who=self._who,
            lost=self._lost,
        )

    def poll(self, state: ArmState | None = None) -> None:
        """Read all devices: an e-stop is heard also while there is no state, or nobody is asked."""
        if state is not None:
            for name, follower in self._followers.items():
                follower.see(state, name == self._takeover.holder)
        for name, device in self._devices.items():
            self._hear(name, device)
        pressed = {name: self._pressed(name) for name in self._devices}
        hands = {name: self._hand(name, pressed[name]) for name in self._devices}
        was_acting = bool(self._who)
        verdict = self._takeover.update(self._clock(), hands, True if self._always_hers else None)
        for name in verdict.refused:
            self._on_notice(f"{name} wants control; {self._takeover.holder} has it")
        self._announce(verdict.reason or "episode")
        if not was_acting:
            self._edges = []
        self._edges += sorted(pressed.get(self._who, frozenset()) & GRIPPER_BUTTONS)
        self._judge(frozenset[str]().union(*pressed.values()))

    @property
    def _always_hers(self) -> bool:
        return self._mode in (Mode.DEMO, Mode.LABEL)

    def _hear(self, name: str, device: InputDevice) -> None:
        """Read one device, and say once when it is lost or back."""
        try:
            state = device.read()
            silence = self._clock() - state.stamp
            trouble = _nonsense(state)
        except DeviceError as error:
            state, silence, trouble = None, 0, str(error)
        self._heed_stop(name, state)
        holds = name == self._who
        worth_telling = bool(trouble) or holds  # a page that nobody controls is silent
        self._silent.discard(name)
        if not trouble and silence > nanoseconds(self.config.lost_after):
            trouble = f"not heard of for {seconds(silence):.2f} s"
            self._silent.add(name)
        if trouble and worth_telling and not self._troubles[name]:
            self._troubles[name] = trouble
            if holds:
                self._on_notice(f"{name} is lost, and the arm holds still: {trouble}")
            else:
                self._on_notice(trouble if trouble.startswith(name) else f"{name} is not there: {trouble}")
        elif self._troubles[name] and not trouble:
            self._troubles[name] = ""
            self._on_notice(f"{name} is there again")
        self._states[name] = None if trouble else state

    def _heed_stop(self, name: str, state: DeviceState | None) -> None:
        """Stop when an e-stop button is down, whatever else the device says, and however late or oddly."""
        if state is None or "e_stop" not in state.buttons:
            self._stopping.discard(name)
        elif name not in self._stopping:
            self._stopping.add(name)
            self._on_e_stop(f"the e-stop button of {name}")

    def _pressed(self, name: str) -> frozenset[str]:
        """Buttons that went down. What a device is found with did not just go down."""
        state = self._states[name]
        if state is None:
            if name not in self._silent:
                self._held[name] = _ANY
            return frozenset()
        pressed = state.buttons - self._held[name]
        self._held[name] = state.buttons
        if pressed:
            self._on_press(name, pressed)
        return pressed

    def _hand(self, name: str, pressed: frozenset[str]) -> Hand | None:
        """What a device says, as far as control goes."""
        state = self._states[name]
        if state is not None:
            return Hand(deflection(state.axes), state.buttons, pressed)
        # A pause of a process must not make her let go before her next move counts.
        rests = name in self._silent and name != self._takeover.holder
        return Hand(0.0, frozenset()) if rests else None

    def _judge(self, pressed: frozenset[str]) -> None:
        verdicts = pressed & {"success", "failure"}
        if len(verdicts) == 1:
            (self._outcome,) = verdicts
        elif verdicts:
            self._on_notice("success and failure were pressed at once: neither counts")

    def _announce(self, reason: str) -> None:
        """Find out who is in control, and tell when it is another than before."""
        who, lost = self._in_control()
        if (who, lost) == (self._who, self._lost):
            return
        if who == self._who:
            reason = "lost" if lost else "back"
        change = Change(who or POLICY, self._who or POLICY, reason)
        self._who, self._lost = who, lost
        self._on_change(change)

    def _in_control(self) -> tuple[str, bool]:
        """The device in control, "" for the policy, and whether it is lost."""
        holder = self._takeover.holder
        if self._mode is Mode.EVAL:
            return "", False
        if holder or not self._always_hers:
            return holder, self._takeover.lost
        # Hers throughout: the device that she had last, or one that is there.
        there = [name for name, state in self._states.items() if state is not None]
        if self._who in there:
            return self._who, False
        return (there[0], False) if there else (self._who or next(iter(self._devices)), True)

    def _twist(self, state: ArmState) -> np.ndarray:
        device = self._states.get(self._takeover.holder)
        if device is None:
            return np.zeros(6)
        return twist_from_device(self.config, device, state)

    def _label(self) -> int:
        """The stage of the key that she holds in a LABEL episode, -1 for none or for both."""
        if self._mode is not Mode.LABEL:
            return -1
        held = frozenset[str]().union(*(s.buttons for s in self._states.values() if s is not None))
        keys = held & {"label", "not_reached"}
        if len(keys) != 1:
            return -1
        return self.stages if "label" in keys else 0

    def close(self) -> None:
        """Let go of all devices."""
        for device in self._devices.values():
            device.close()


def _nonsense(state: DeviceState) -> str:
    """What is wrong with what a device says, "" for nothing."""
    if state.axes.shape != (6,):
        return f"it has axes of shape {state.axes.shape}, expected (6,)"
    if not np.isfinite(state.axes).all():
        return f"its axes are not finite: {state.axes}"
    if np.abs(state.axes).max() > 1.0 + 1e-6:
        return f"its axes leave [-1, 1]: {state.axes}"
    unknown = state.buttons - frozenset(BUTTONS)
    if unknown:
        return f"it has unknown buttons: {', '.join(sorted(unknown))}"
    if state.frame not in ("", "base"):
        return f'its axes are in the frame {state.frame!r}, expected "base" or ""'
    return ""
