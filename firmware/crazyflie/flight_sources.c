/* The flight code in one piece: the vehicle's build system takes sources of this folder only. */
#include "../src/policy_check.c"

#include "../src/flight.c"
#include "../src/flight_observation.c"
