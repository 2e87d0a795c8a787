/* The policy behind its guards: nothing spins before the self-test has passed, and what is not fit to fly on
 * stops the rotors until somebody arms again.
 *
 * Times are microseconds of one clock in 32 bits and may wrap around (after 71 minutes).
 */
#ifndef FLIGHT_H
#define FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "flight_observation.h"
#include "policy_check.h"

/* Oldest estimate to fly on [us]. */
#ifndef FLIGHT_STALE_US
#define FLIGHT_STALE_US 50000
#endif
/* Longest silence of whoever commands [us]: the dead man's switch. */
#ifndef FLIGHT_SILENCE_US
#define FLIGHT_SILENCE_US 200000
#endif
/* Action that the history is filled with when a flight begins: rotors at half speed, as training begins. */
#ifndef FLIGHT_START_ACTION
#define FLIGHT_START_ACTION 0.0f
#endif

typedef enum {
    FLIGHT_DISARMED = 0,         /* nobody has armed it; memory that was cleared means this */
    FLIGHT_FLYING = 1,
    FLIGHT_SELF_TEST_FAILED = 2, /* the policy is not the one that was exported */
    FLIGHT_BAD_STATE = 3,        /* the estimate is not finite, or its quaternion of no unit length */
    FLIGHT_STALE_STATE = 4,      /* the estimate is FLIGHT_STALE_US old, or as far in the future */
    FLIGHT_SILENCE = 5,          /* no command for FLIGHT_SILENCE_US */
    FLIGHT_BAD_REFERENCE = 6,    /* the reference is not finite */
    FLIGHT_BAD_ACTION = 7        /* the policy gave no finite action */
} flight_status;

/* What a tick needs. */
typedef struct {
    uint32_t now_us;
    uint32_t state_us;   /* when the estimate was made */
    uint32_t command_us; /* when the last command came */
    flight_state state;
    flight_reference reference;
} flight_tick;

typedef struct {
    flight_observation observation;
    policy_report report;
    flight_status status;
    bool tested; /* the self-test has passed */
} flight;

/* Runs the self-test; true when the vehicle may be armed. */
bool flight_boot(flight *self);

/* Begins a flight, or goes on with the one that is under way; false, and nothing spins, unless the self-test
 * has passed. */
bool flight_arm(flight *self);

void flight_disarm(flight *self);

/* The action of this tick, for each rotor in [-1, 1]; -1 stands still. Any status but FLIGHT_FLYING stops the
 * rotors and stays until flight_arm. */
flight_status flight_step(flight *self, const flight_tick *tick, float action[4]);

#endif
