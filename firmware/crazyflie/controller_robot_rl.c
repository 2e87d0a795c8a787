/* Out-of-tree controller of the Crazyflie: the policy commands the four motors.
 *
 * It flies absolute positions: setpoints with modes abs on x, y and z, with or without velocity and yaw, as
 * the position, full-state and high-level commanders send them. Any other setpoint stops the motors and
 * disarms; so does a fault, and a setpoint that is none has to come before the next flight.
 */
#include "controller.h"

#include <string.h>

#include "flight.h"
#include "heading.h"
#include "log.h"
#include "platform_defaults.h"

/* The stabiliser calls at 1 kHz. */
#define CALL_US 1000u
#define RADIANS_PER_DEGREE 0.017453293f

/* Thrust of a rotor at the part s of its highest speed: c0 + c1 s + c2 s^2 [N]. The policy asks for speeds,
 * the motor mixer takes thrusts over its own largest, which is not that of the training. `robot-rl export
 * --vehicle` writes the curve of a parameter set into policy.h; without it, this is the one of l2f-paper. */
#ifndef FLIGHT_THRUST_0
#define FLIGHT_THRUST_0 0.0f
#define FLIGHT_THRUST_1 0.0f
#define FLIGHT_THRUST_2 0.14882684f
#endif

#if FLIGHT_TICK_US % 1000 != 0
#error "FLIGHT_TICK_US must be a multiple of 1000: the stabiliser calls once a millisecond"
#endif
#if FLIGHT_PREVIEW != 0 && !defined(POLICY_AHEAD_PREVIEW)
#error "policy.h does not say how far ahead its preview looks: its elements are not named x+0.1s and the like"
#endif

static flight vehicle;
static flight_tick tick;
static uint8_t status; /* of the vehicle, for the log */
static uint32_t setpoint_stamp;
static float seen[6]; /* position and velocity as the estimator gave them last */
static float forces[STABILIZER_NR_OF_MOTORS];

static void read_state(const state_t *state, const sensorData_t *sensors)
{
    const flight_state estimate = {
        .position = {state->position.x, state->position.y, state->position.z},
        .attitude = {state->attitudeQuaternion.x, state->attitudeQuaternion.y, state->attitudeQuaternion.z,
                     state->attitudeQuaternion.w},
        .velocity = {state->velocity.x, state->velocity.y, state->velocity.z},
        .rates = {sensors->gyro.x * RADIANS_PER_DEGREE, sensors->gyro.y * RADIANS_PER_DEGREE,
                  sensors->gyro.z * RADIANS_PER_DEGREE},
    };
    /* Not every estimator stamps its output, but one that lives never gives the same position and velocity
     * twice for long: its sensors are noisy. */
    if (memcmp(estimate.position, seen, sizeof estimate.position) != 0 ||
        memcmp(estimate.velocity, seen + 3, sizeof estimate.velocity) != 0) {
        tick.state_us = tick.now_us;
    }
    memcpy(seen, estimate.position, sizeof estimate.position);
    memcpy(seen + 3, estimate.velocity, sizeof estimate.velocity);
    tick.state = estimate;
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
    static const float ahead[FLIGHT_PREVIEW] = POLICY_AHEAD_PREVIEW;
    const point_t *a = &setpoint->acceleration, *j = &setpoint->jerk;
    const float acceleration[3] = {a->x, a->y, a->z}, jerk[3] = {j->x, j->y, j->z};
    for (int i = 0; i < FLIGHT_PREVIEW; i++) {
        /* Mean velocity until then, at constant jerk. */
        tick.reference.preview[i] = wanted.velocity[i % 3] + ahead[i] * 0.5f * acceleration[i % 3] +
                                    ahead[i] * ahead[i] / 6.0f * jerk[i % 3];
    }
#endif
}

/* Turns all that the policy will see, so that it looks along x where the setpoint has its yaw. */
static void face(const setpoint_t *setpoint)
{
    float *attitude = tick.state.attitude;
    const heading now = heading_of_quaternion(attitude[2], attitude[3]);
    heading wanted = {1.0f, 0.0f};
    if (setpoint->mode.quat == modeAbs) {
        wanted = heading_of_quaternion(setpoint->attitudeQuaternion.z, setpoint->attitudeQuaternion.w);
    } else if (setpoint->mode.yaw == modeAbs) {
        wanted = heading_of_degrees(setpoint->attitude.yaw);
    }
    const heading by = heading_within_reach(wanted, now);
    heading_turn_attitude(by, attitude);
    heading_turn_vector(by, tick.state.position);
    heading_turn_vector(by, tick.state.velocity);
    heading_turn_vector(by, tick.reference.position);
    heading_turn_vector(by, tick.reference.velocity);
#if FLIGHT_PREVIEW
    for (int i = 0; i < FLIGHT_PREVIEW; i += 3) {
        heading_turn_vector(by, tick.reference.preview + i);
    }
#endif
}

static bool wants_to_fly(const setpoint_t *setpoint)
{
    return setpoint->mode.x == modeAbs && setpoint->mode.y == modeAbs && setpoint->mode.z == modeAbs;
}

/* Share of the motor's largest thrust for an action in [-1, 1]. */
static float force_of(float action)
{
    const float speed = 0.5f * (action + 1.0f);
    return (FLIGHT_THRUST_0 + speed * (FLIGHT_THRUST_1 + speed * FLIGHT_THRUST_2)) / THRUST_MAX;
}

static void fly(const setpoint_t *setpoint)
{
    float action[4];
    bool flying = false;
    if (!wants_to_fly(setpoint)) {
        flight_disarm(&vehicle);
    } else {
        if (vehicle.status == FLIGHT_DISARMED && flight_arm(&vehicle)) {
            tick.command_us = tick.now_us;
        }
        face(setpoint);
        flying = flight_step(&vehicle, &tick, action) == FLIGHT_FLYING;
    }
    for (int i = 0; i < STABILIZER_NR_OF_MOTORS; i++) {
        forces[i] = flying ? force_of(action[i]) : 0.0f;
    }
    status = (uint8_t)vehicle.status;
}

/* Called at boot, and when somebody selects this controller: perhaps in flight, where there is no time for a
 * self-test. */
void controllerOutOfTreeInit(void)
{
    memset(forces, 0, sizeof forces);
    if (!vehicle.tested) {
        (void)flight_boot(&vehicle);
    }
    flight_disarm(&vehicle);
    status = (uint8_t)vehicle.status;
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

/* What stopped the motors, a flight_status: 0 not armed, 1 flying. */
LOG_GROUP_START(robotRl)
LOG_ADD(LOG_UINT8, status, &status)
LOG_GROUP_STOP(robotRl)
