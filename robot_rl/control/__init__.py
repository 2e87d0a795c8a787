"""Control laws, safety limits and trajectories: pure functions of states and commands."""
