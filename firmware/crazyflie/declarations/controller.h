/* What our controller uses of the Crazyflie's firmware, in our own words, so that it compiles and is tested
 * without that firmware. Only the members that are used are here: the layout is not the vendor's. A build for
 * the vehicle takes the vendor's headers.
 */
#ifndef CONTROLLER_H
#define CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#define STABILIZER_NR_OF_MOTORS 4

/* Calls of the stabiliser, at 1 kHz. */
typedef uint32_t stabilizerStep_t;

typedef struct {
    float x, y, z;
} point_t;

typedef struct {
    float x, y, z, w;
} quaternion_t;

typedef struct {
    point_t gyro; /* [deg/s] */
} sensorData_t;

typedef struct {
    quaternion_t attitudeQuaternion;
    point_t position; /* [m] */
    point_t velocity; /* [m/s] */
} state_t;

typedef enum { modeDisable = 0, modeAbs, modeVelocity } stab_mode_t;

typedef struct {
    float yaw; /* [deg] */
} attitude_t;

typedef struct {
    uint32_t timestamp; /* [ms], of the system's clock */
    attitude_t attitude;
    quaternion_t attitudeQuaternion;
    point_t position;
    point_t velocity;
    point_t acceleration; /* [m/s^2] */
    point_t jerk;         /* [m/s^3] */
    struct {
        stab_mode_t x, y, z, yaw, quat;
    } mode;
} setpoint_t;

typedef enum { controlModeLegacy = 0, controlModeForceTorque = 1, controlModeForce = 2 } control_mode_t;

typedef struct {
    float normalizedForces[STABILIZER_NR_OF_MOTORS]; /* 0..1 */
    control_mode_t controlMode;
} control_t;

void controllerOutOfTreeInit(void);
bool controllerOutOfTreeTest(void);
void controllerOutOfTree(control_t *control, const setpoint_t *setpoint, const sensorData_t *sensors,
                         const state_t *state, const stabilizerStep_t stabilizerStep);

#endif
