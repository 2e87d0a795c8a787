"""Stand-ins for devices that speak the devices' own protocols, for tests and benchmarks without hardware."""
