#include "flight_observation.h"

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

void flight_observation_record(flight_observation *observation, const float action[4])
{
#if FLIGHT_HISTORY
    float *history = observation->input + POLICY_AT_ACTIONS;
    float *newest = history + FLIGHT_HISTORY - 4;
    if (observation->substep == 0) {
        memmove(history, history + 4, (FLIGHT_HISTORY - 4) * sizeof *history);
    }
    /* Running mean; at the first substep the old content has no weight. */
    const float share = 1.0f / (float)(observation->substep + 1);
    for (int i = 0; i < 4; i++) {
        const float before = observation->substep == 0 ? action[i] : newest[i];
        newest[i] = before + share * (action[i] - before);
    }
#else
    (void)action;
#endif
    observation->substep = (observation->substep + 1) % FLIGHT_SUBSTEPS;
}
