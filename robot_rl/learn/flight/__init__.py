"""Learning to fly: policies for simulated quadrotors."""
