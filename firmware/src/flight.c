#include "flight.h"

/* How far from 1 the square of a quaternion's length may be. */
#define UNIT_TOLERANCE 0.01f

/* Infinities and NaN differ from themselves less themselves. */
static bool all_finite(const float *values, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(values[i] - values[i] == 0.0f)) {
            return false;
        }
    }
    return true;
}

static bool good_state(const flight_state *state)
{
    const float *q = state->attitude;
    const float excess = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3] - 1.0f;
    return all_finite(state->position, 3) && all_finite(q, 4) && all_finite(state->velocity, 3) &&
           all_finite(state->rates, 3) && excess < UNIT_TOLERANCE && excess > -UNIT_TOLERANCE;
}

static bool good_reference(const flight_reference *reference)
{
#if FLIGHT_PREVIEW
    if (!all_finite(reference->preview, FLIGHT_PREVIEW)) {
        return false;
    }
#endif
    return all_finite(reference->position, 3) && all_finite(reference->velocity, 3);
}

/* Whether two times are further apart than `limit`, also when the clock has wrapped around between them. */
static bool apart(uint32_t a, uint32_t b, uint32_t limit)
{
    return a - b > limit && b - a > limit;
}

static flight_status judge(const flight_tick *tick)
{
    if (apart(tick->now_us, tick->command_us, FLIGHT_SILENCE_US)) {
        return FLIGHT_SILENCE;
    }
    if (apart(tick->now_us, tick->state_us, FLIGHT_STALE_US)) {
        return FLIGHT_STALE_STATE;
    }
    if (!good_state(&tick->state)) {
        return FLIGHT_BAD_STATE;
    }
    return good_reference(&tick->reference) ? FLIGHT_FLYING : FLIGHT_BAD_REFERENCE;
}

bool flight_boot(flight *self)
{
    self->tested = policy_self_test(&self->report);
    self->status = self->tested ? FLIGHT_DISARMED : FLIGHT_SELF_TEST_FAILED;
    flight_observation_reset(&self->observation, FLIGHT_START_ACTION);
    return self->tested;
}

bool flight_arm(flight *self)
{
    if (self->tested && self->status != FLIGHT_FLYING) {
        flight_observation_reset(&self->observation, FLIGHT_START_ACTION);
        self->status = FLIGHT_FLYING;
    }
    return self->tested;
}

void flight_disarm(flight *self)
{
    if (self->tested) {
        self->status = FLIGHT_DISARMED;
    }
}

flight_status flight_step(flight *self, const flight_tick *tick, float action[4])
{
    if (self->status == FLIGHT_FLYING) {
        self->status = judge(tick);
    }
    if (self->status == FLIGHT_FLYING) {
        flight_observation_update(&self->observation, &tick->state, &tick->reference);
        policy_run(self->observation.input, action);
        if (all_finite(action, 4)) {
            flight_observation_record(&self->observation, tick->now_us, action);
            return FLIGHT_FLYING;
        }
        self->status = FLIGHT_BAD_ACTION;
    }
    for (int i = 0; i < 4; i++) {
        action[i] = -1.0f;
    }
    return self->status;
}
