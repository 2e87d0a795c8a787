"""The result of an episode on its way to the recorder, as the figures of an `EpisodeEvent`."""

from __future__ import annotations

from robot_rl.core.types import Episode, EpisodeResult
from robot_rl.nodes.messages import EpisodeEvent


def episode_event(
    stamp: int, episode: Episode, event: str, result: EpisodeResult | None = None, reason: str = ""
) -> EpisodeEvent:
    """What happened to an episode.

    Args:
        stamp: Time of its first or its last state [ns].
        episode: Which one.
        event: "begin", "end", "abort" or "undo".
        result: What it amounts to, where it has ended.
        reason: Why it was given up; a fault's reason comes with the result.
    """
    figures: dict[str, float] = {}
    if result is not None:
        reason = reason or result.fault
        figures = {
            "success": float(result.success),
            "steps": float(result.steps),
            "reward": result.reward,
            "interventions": float(result.interventions),
            "human_steps": float(result.human_steps),
            "policy_version": float(result.policy_version),
            "peak_force": result.peak_force,
            "claimed": float(result.claimed),
        }
    return EpisodeEvent(stamp, event, episode.index, episode.seed, episode.mode.value, figures, reason)


def result_of(event: EpisodeEvent, episode: Episode) -> EpisodeResult:
    """The result that the "end" of an episode carries."""
    figures = event.result
    return EpisodeResult(
        episode=episode,
        steps=int(figures["steps"]),
        success=bool(figures["success"]),
        reward=float(figures["reward"]),
        interventions=int(figures["interventions"]),
        human_steps=int(figures["human_steps"]),
        policy_version=int(figures["policy_version"]),
        fault=event.reason,
        peak_force=float(figures.get("peak_force", 0.0)),
        claimed=bool(figures.get("claimed", 0.0)),
    )
