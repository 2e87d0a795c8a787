/* What a flight policy sees, built from a state estimate, a reference and its own past actions.
 *
 * The policy was trained at one action each POLICY_PERIOD_US, and runs more often: about each FLIGHT_TICK_US.
 * The history of actions moves on once a training period, and its newest entry holds the mean of the actions
 * since then (Eschmann, Albani, Loianno, "Learning to Fly in Seconds", RA-L 2024). With as many ticks as
 * training periods, this is what training saw. Periods are told by the clock, not by counting: ticks may come
 * early or late by less than half a tick, and where some are missing the rotors held their last action, as
 * the history then says.
 */
#ifndef FLIGHT_OBSERVATION_H
#define FLIGHT_OBSERVATION_H

#include <stdint.h>

#include "policy.h"

/* Time between two actions here, nominally [us]. */
#ifndef FLIGHT_TICK_US
#define FLIGHT_TICK_US 2000
#endif
#if POLICY_OUTPUTS != 4
#error "policy.h is not for a quadrotor: it must have 4 outputs, one for each rotor"
#endif
#if !defined(POLICY_SIZE_POSITION) || !defined(POLICY_SIZE_ROTATION) || !defined(POLICY_SIZE_VELOCITY) ||   \
    !defined(POLICY_SIZE_RATES)
#error "policy.h is not for flying: its observation must have position, rotation, velocity and rates"
#elif POLICY_SIZE_POSITION != 3 || POLICY_SIZE_ROTATION != 9 || POLICY_SIZE_VELOCITY != 3 ||                \
    POLICY_SIZE_RATES != 3
#error "policy.h is for other dimensions: position 3, rotation 9, velocity 3 and rates 3 are known here"
#endif
#ifdef POLICY_SIZE_PREVIEW
#define FLIGHT_PREVIEW POLICY_SIZE_PREVIEW
#else
#define FLIGHT_PREVIEW 0
#endif
#ifdef POLICY_SIZE_ACTIONS
#define FLIGHT_HISTORY POLICY_SIZE_ACTIONS
#else
#define FLIGHT_HISTORY 0
#endif
#if FLIGHT_HISTORY % 4 != 0 || FLIGHT_PREVIEW % 3 != 0
#error "policy.h is for other dimensions: actions must be a multiple of 4, preview one of 3"
#endif
#if POLICY_INPUTS != 18 + FLIGHT_PREVIEW + FLIGHT_HISTORY
#error "policy.h wants arrays that nobody here knows: position, rotation, velocity, rates, preview, actions"
#endif
#if POLICY_PERIOD_US % FLIGHT_TICK_US != 0
#error "FLIGHT_TICK_US must divide the period of the policy, POLICY_PERIOD_US"
#endif

/* Errors beyond these are shown to the policy as these [m], [m/s]: by default the bounds of its spec. */
#ifndef FLIGHT_MAX_POSITION_ERROR
#define FLIGHT_MAX_POSITION_ERROR POLICY_HIGH_POSITION
#endif
#ifndef FLIGHT_MAX_VELOCITY_ERROR
#define FLIGHT_MAX_VELOCITY_ERROR POLICY_HIGH_VELOCITY
#endif

/* Estimate of the vehicle's motion. World: z up; body: x forwards, y left, z up. */
typedef struct {
    float position[3]; /* in the world [m] */
    float attitude[4]; /* body to world, unit quaternion xyzw */
    float velocity[3]; /* in the world [m/s] */
    float rates[3];    /* in body axes [rad/s] */
} flight_state;

/* Where it should be. */
typedef struct {
    float position[3]; /* in the world [m] */
    float velocity[3]; /* in the world [m/s]; zero to hover */
#if FLIGHT_PREVIEW
    float preview[FLIGHT_PREVIEW]; /* displacement from here to later points, over the time to them [m/s] */
#endif
} flight_reference;

typedef struct {
    float input[POLICY_INPUTS]; /* for the policy */
    float held[4];              /* the last action */
    uint32_t period_us;         /* when the newest entry of the history began */
    uint32_t ticks;             /* actions that it is the mean of; 0 before the first */
} flight_observation;

/* Begins a flight: as if `action` had been given to all four rotors for long. */
void flight_observation_reset(flight_observation *observation, float action);

/* Fills in all but the history. */
void flight_observation_update(flight_observation *observation, const flight_state *state,
                               const flight_reference *reference);

/* Remembers the action of this tick. */
void flight_observation_record(flight_observation *observation, uint32_t now_us, const float action[4]);

#endif
