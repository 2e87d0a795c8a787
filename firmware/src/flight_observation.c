#include "flight_observation.h"

#include <stdbool.h>
#include <string.h>

static float clipped(float value, float limit)
{
    return value > limit ? limit : (value < -limit ? -limit : value);
}

/* Row-major matrix of a unit quaternion, body to world. */
static void rotation_of(const float q[4], float matrix[9])
{
    const float x = q[0], y = q[1], z = q[2], w = q[3];
    matrix[0] = 1.0f - 2.0f * (y * y + z * z);
    matrix[1] = 2.0f * (x * y - w * z);
    matrix[2] = 2.0f * (x * z + w * y);
    matrix[3] = 2.0f * (x * y + w * z);
    matrix[4] = 1.0f - 2.0f * (x * x + z * z);
    matrix[5] = 2.0f * (y * z - w * x);
    matrix[6] = 2.0f * (x * z - w * y);
    matrix[7] = 2.0f * (y * z + w * x);
    matrix[8] = 1.0f - 2.0f * (x * x + y * y);
}

void flight_observation_reset(flight_observation *observation, float action)
{
    memset(observation, 0, sizeof *observation);
#if FLIGHT_HISTORY
    for (int i = 0; i < FLIGHT_HISTORY; i++) {
        observation->input[POLICY_AT_ACTIONS + i] = action;
    }
#else
    (void)action;
#endif
}

void flight_observation_update(flight_observation *observation, const flight_state *state,
                               const flight_reference *reference)
{
    float *input = observation->input;
    for (int i = 0; i < 3; i++) {
        const float position = state->position[i] - reference->position[i];
        const float velocity = state->velocity[i] - reference->velocity[i];
        input[POLICY_AT_POSITION + i] = clipped(position, FLIGHT_MAX_POSITION_ERROR);
        input[POLICY_AT_VELOCITY + i] = clipped(velocity, FLIGHT_MAX_VELOCITY_ERROR);
        input[POLICY_AT_RATES + i] = clipped(state->rates[i], POLICY_HIGH_RATES);
    }
    rotation_of(state->attitude, input + POLICY_AT_ROTATION);
#if FLIGHT_PREVIEW
    for (int i = 0; i < FLIGHT_PREVIEW; i++) {
        input[POLICY_AT_PREVIEW + i] = clipped(reference->preview[i], POLICY_HIGH_PREVIEW);
    }
#endif
}

#if FLIGHT_HISTORY
/* Training periods that have begun since the newest entry did. */
static uint32_t new_periods(const flight_observation *observation, uint32_t now_us)
{
    const uint32_t since = now_us - observation->period_us;
    const bool backwards = since > UINT32_MAX / 2;
    if (observation->ticks == 0) {
        return 1;
    }
    /* Half a tick early is on time. */
    return backwards ? 0 : (since + FLIGHT_TICK_US / 2) / POLICY_PERIOD_US;
}

/* Makes room for the entry of this period; those in between get the action that was held. */
static void move_on(flight_observation *observation, uint32_t now_us, uint32_t periods)
{
    float *history = observation->input + POLICY_AT_ACTIONS;
    const uint32_t gone = periods < FLIGHT_HISTORY / 4 ? 4 * periods : FLIGHT_HISTORY;
    memmove(history, history + gone, (FLIGHT_HISTORY - gone) * sizeof *history);
    for (uint32_t i = FLIGHT_HISTORY - gone; i < FLIGHT_HISTORY; i++) {
        history[i] = observation->held[i % 4];
    }
    observation->period_us =
        observation->ticks == 0 ? now_us : observation->period_us + periods * POLICY_PERIOD_US;
    observation->ticks = 0;
}
#endif

void flight_observation_record(flight_observation *observation, uint32_t now_us, const float action[4])
{
#if FLIGHT_HISTORY
    const uint32_t periods = new_periods(observation, now_us);
    if (periods > 0) {
        move_on(observation, now_us, periods);
    }
    float *newest = observation->input + POLICY_AT_ACTIONS + FLIGHT_HISTORY - 4;
    const float share = 1.0f / (float)++observation->ticks;
    for (int i = 0; i < 4; i++) {
        /* Running mean: the first action replaces what was there. */
        newest[i] = observation->ticks == 1 ? action[i] : newest[i] + share * (action[i] - newest[i]);
        observation->held[i] = action[i];
    }
#else
    (void)observation;
    (void)now_us;
    (void)action;
#endif
}
