/* Out-of-tree controller of the Crazyflie: the policy commands the four motors.
 *
 * It flies absolute positions: setpoints with modes abs on x, y and z, with or without a velocity, as the
 * position, full-state and high-level commanders send them. Any other setpoint stops the motors and disarms;
 * so does a fault, and a setpoint that is none has to come before the next flight.
 */
#include "controller.h"

#include <string.h>

#include "flight.h"

/* The stabiliser calls at 1 kHz. */
#define CALL_US 1000u
#define RADIANS_PER_DEGREE 0.017453293f

/* Thrust of a rotor over its largest at speed s, both in 0..1: c0 + c1 s + c2 s^2. The policy asks for speeds,
 * the motor mixer takes thrusts. This is the fit of parameter set l2f-paper; override it for another one. */
#ifndef FLIGHT_THRUST_0
#define FLIGHT_THRUST_0 0.0f
#define FLIGHT_THRUST_1 0.0f
#define FLIGHT_THRUST_2 1.0f
#endif

#if FLIGHT_TICK_US % 1000 != 0
#error "FLIGHT_TICK_US must be a multiple of 1000: the stabiliser calls once a millisecond"
#endif
#if FLIGHT_PREVIEW != 0 && FLIGHT_PREVIEW != 9
#error "this controller knows previews of the reference over 0.1, 0.2 and 0.4 s, or none"
#endif

static flight vehicle;
static flight_tick tick;
static uint32_t setpoint_stamp;
static float forces[STABILIZER_NR_OF_MOTORS];

static void read_state(const state_t *state, const sensorData_t *sensors)
{
    const flight_state seen = {
        .position = {state->position.x, state->position.y, state->position.z},
        .attitude = {state->attitudeQuaternion.x, state->attitudeQuaternion.y, state->attitudeQuaternion.z,
                     state->attitudeQuaternion.w},
        .velocity = {state->velocity.x, state->velocity.y, state->velocity.z},
        .rates = {sensors->gyro.x * RADIANS_PER_DEGREE, sensors->gyro.y * RADIANS_PER_DEGREE,
                  sensors->gyro.z * RADIANS_PER_DEGREE},
    };
    /* Not every estimator stamps its output, but one that lives never gives the same position and velocity
     * twice for long: its sensors are noisy. */
    if (memcmp(seen.position, tick.state.position, sizeof seen.position) != 0 ||
        memcmp(seen.velocity, tick.state.velocity, sizeof seen.velocity) != 0) {
        tick.state_us = tick.now_us;
    }
    tick.state = seen;
}

static void read_setpoint(const setpoint_t *setpoint)
{
    const flight_reference wanted = {
        .position = {setpoint->position.x, setpoint->position.y, setpoint->position.z},
        .velocity = {setpoint->velocity.x, setpoint->velocity.y, setpoint->velocity.z},
    };
    if (setpoint->timestamp != setpoint_stamp) {
        setpoint_stamp = setpoint->timestamp;
        tick.command_us = tick.now_us;
    }
    tick.reference = wanted;
#if FLIGHT_PREVIEW
    static const float ahead[FLIGHT_PREVIEW / 3] = {0.1f, 0.2f, 0.4f};
    const float acceleration[3] = {setpoint->acceleration.x, setpoint->acceleration.y,
                                   setpoint->acceleration.z};
    for (int i = 0; i < FLIGHT_PREVIEW; i++) {
        /* Mean velocity until then, at constant acceleration. */
        tick.reference.preview[i] = wanted.velocity[i % 3] + 0.5f * ahead[i / 3] * acceleration[i % 3];
    }
#endif
}

static bool wants_to_fly(const setpoint_t *setpoint)
{
    return setpoint->mode.x == modeAbs && setpoint->mode.y == modeAbs && setpoint->mode.z == modeAbs;
}

static float force_of(float action)
{
    const float clipped = action > 1.0f ? 1.0f : (action < -1.0f ? -1.0f : action);
    const float speed = 0.5f * (clipped + 1.0f);
    return speed > 0.0f ? FLIGHT_THRUST_0 + speed * (FLIGHT_THRUST_1 + speed * FLIGHT_THRUST_2) : 0.0f;
}

static void fly(const setpoint_t *setpoint)
{
    float action[4] = {-1.0f, -1.0f, -1.0f, -1.0f};
    if (!wants_to_fly(setpoint)) {
        flight_disarm(&vehicle);
    } else {
        if (vehicle.status == FLIGHT_DISARMED && flight_arm(&vehicle)) {
            tick.command_us = tick.now_us;
        }
        (void)flight_step(&vehicle, &tick, action);
    }
    for (int i = 0; i < STABILIZER_NR_OF_MOTORS; i++) {
        forces[i] = force_of(action[i]);
    }
}

void controllerOutOfTreeInit(void)
{
    memset(forces, 0, sizeof forces);
    (void)flight_boot(&vehicle);
}

bool controllerOutOfTreeTest(void)
{
    return vehicle.tested;
}

void controllerOutOfTree(control_t *control, const setpoint_t *setpoint, const sensorData_t *sensors,
                         const state_t *state, const stabilizerStep_t stabilizerStep)
{
    tick.now_us = stabilizerStep * CALL_US;
    read_state(state, sensors);
    read_setpoint(setpoint);
    if (stabilizerStep % (FLIGHT_TICK_US / CALL_US) == 0) {
        fly(setpoint);
    }
    control->controlMode = controlModeForce;
    memcpy(control->normalizedForces, forces, sizeof forces);
}
