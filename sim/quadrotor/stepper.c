/* The step of sim/quadrotor/dynamics.py in C99, for many drones of one kind at once.
 *
 * State rows, each of n floats: position (3), attitude xyzw (4), velocity (3), body rates (3), rotors (4).
 * Actions: (steps, 4, n) in [-1, 1]. Wrench rows, or null: force in the world (3) [N], torque in the body (3)
 * [Nm].
 *
 * Drones are copied into blocks that fit the first-level cache and stay there for all steps. All numbers of a
 * drone are named scalars, never arrays with a loop over them: so the compiler turns the loop over the drones
 * of a block into vector instructions.
 */

#include <math.h>
#include <stddef.h>

#define BLOCK 256
#define ROWS 17

/* Everything that a loop over drones shares; see `_Model` in native.py for the order. */
typedef struct {
    float x0, x1, x2, x3;             /* places of the rotors [m] */
    float y0, y1, y2, y3;
    float spin0, spin1, spin2, spin3; /* drag torque over thrust, with its sign [m] */
    float c0, c1, c2;                 /* thrust over speed [N] */
    float jx, jy, jz;                 /* moments of inertia [kg m^2] */
    float per_mass, per_jx, per_jy, per_jz;
    float up, down;                   /* 1 / time constants of the rotors [1/s] */
    float gravity;
    float period;
} model_t;

typedef struct {
    float vx, vy, vz, qx, qy, qz, qw, wx, wy, wz, s0, s1, s2, s3;
} state_t;

typedef struct {
    float fx, fy, fz, tx, ty, tz;
} wrench_t;

typedef struct {
    float u0, u1, u2, u3;
} command_t;

static inline float clip(float x, float low, float high) {
    const float above = x < low ? low : x;
    return above > high ? high : above;
}

static inline float lag(model_t m, float wanted, float speed, int alike) {
    const float lack = wanted - speed;
    return lack * (alike || lack > 0.0f ? m.up : m.down);
}

/* Rate of change of everything but the position, whose is the velocity. */
static inline state_t derivative(model_t m, state_t y, command_t u, wrench_t d, int alike) {
    const float f0 = m.c0 + y.s0 * (m.c1 + y.s0 * m.c2), f1 = m.c0 + y.s1 * (m.c1 + y.s1 * m.c2);
    const float f2 = m.c0 + y.s2 * (m.c1 + y.s2 * m.c2), f3 = m.c0 + y.s3 * (m.c1 + y.s3 * m.c2);
    const float lift = (f0 + f1 + f2 + f3) * m.per_mass;
    const float roll = m.y0 * f0 + m.y1 * f1 + m.y2 * f2 + m.y3 * f3;
    const float pitch = -(m.x0 * f0 + m.x1 * f1 + m.x2 * f2 + m.x3 * f3);
    const float yaw = m.spin0 * f0 + m.spin1 * f1 + m.spin2 * f2 + m.spin3 * f3;
    state_t k;
    k.vx = 2.0f * (y.qx * y.qz + y.qw * y.qy) * lift + d.fx;
    k.vy = 2.0f * (y.qy * y.qz - y.qw * y.qx) * lift + d.fy;
    k.vz = (1.0f - 2.0f * (y.qx * y.qx + y.qy * y.qy)) * lift + d.fz;
    k.qx = 0.5f * (y.qw * y.wx + y.qy * y.wz - y.qz * y.wy);
    k.qy = 0.5f * (y.qw * y.wy + y.qz * y.wx - y.qx * y.wz);
    k.qz = 0.5f * (y.qw * y.wz + y.qx * y.wy - y.qy * y.wx);
    k.qw = -0.5f * (y.qx * y.wx + y.qy * y.wy + y.qz * y.wz);
    k.wx = (roll + d.tx + (m.jy - m.jz) * y.wy * y.wz) * m.per_jx;
    k.wy = (pitch + d.ty + (m.jz - m.jx) * y.wz * y.wx) * m.per_jy;
    k.wz = (yaw + d.tz + (m.jx - m.jy) * y.wx * y.wy) * m.per_jz;
    k.s0 = lag(m, u.u0, y.s0, alike);
    k.s1 = lag(m, u.u1, y.s1, alike);
    k.s2 = lag(m, u.u2, y.s2, alike);
    k.s3 = lag(m, u.u3, y.s3, alike);
    return k;
}

static inline state_t along(state_t y, state_t k, float h) {
    const state_t after = {y.vx + h * k.vx, y.vy + h * k.vy, y.vz + h * k.vz, y.qx + h * k.qx,
                           y.qy + h * k.qy, y.qz + h * k.qz, y.qw + h * k.qw, y.wx + h * k.wx,
                           y.wy + h * k.wy, y.wz + h * k.wz, y.s0 + h * k.s0, y.s1 + h * k.s1,
                           y.s2 + h * k.s2, y.s3 + h * k.s3};
    return after;
}

/* One period of the drones of a block; `alike` says that rotors speed up as they slow down. It is a constant
 * at each call, so that two loops are made, one without the choice. */
static inline void step_block(const model_t m, float (*restrict y)[BLOCK], const float *restrict a0,
                       const float *restrict a1, const float *restrict a2, const float *restrict a3,
                       float (*restrict d)[BLOCK], size_t count, int alike) {
    const float h = m.period;
    for (size_t i = 0; i < count; i++) {
        const command_t u = {
            0.5f * (clip(a0[i], -1.0f, 1.0f) + 1.0f), 0.5f * (clip(a1[i], -1.0f, 1.0f) + 1.0f),
            0.5f * (clip(a2[i], -1.0f, 1.0f) + 1.0f), 0.5f * (clip(a3[i], -1.0f, 1.0f) + 1.0f)};
        const wrench_t w = {d[0][i], d[1][i], d[2][i], d[3][i], d[4][i], d[5][i]};
        const state_t now = {y[7][i],  y[8][i],  y[9][i],  y[3][i],  y[4][i],  y[5][i],  y[6][i],
                             y[10][i], y[11][i], y[12][i], y[13][i], y[14][i], y[15][i], y[16][i]};
        /* k1 + 2 k2 + 2 k3 + k4 is summed as it comes. The velocities of the stages are the first one plus what
         * was gained, so that the position needs h v + h^2 / 6 (k1 + k2 + k3) of the velocities' rates. */
        const state_t k1 = derivative(m, now, u, w, alike);
        const state_t k2 = derivative(m, along(now, k1, 0.5f * h), u, w, alike);
        const state_t k12 = along(k1, k2, 2.0f);
        const float gx = k1.vx + k2.vx, gy = k1.vy + k2.vy, gz = k1.vz + k2.vz;
        const state_t k3 = derivative(m, along(now, k2, 0.5f * h), u, w, alike);
        const state_t k123 = along(k12, k3, 2.0f);
        const state_t k4 = derivative(m, along(now, k3, h), u, w, alike);
        const state_t k = along(k123, k4, 1.0f);
        const state_t after = along(now, k, h / 6.0f);
        const float scale = 1.0f / sqrtf(after.qx * after.qx + after.qy * after.qy + after.qz * after.qz +
                                         after.qw * after.qw);
        y[0][i] += h * (now.vx + h / 6.0f * (gx + k3.vx));
        y[1][i] += h * (now.vy + h / 6.0f * (gy + k3.vy));
        y[2][i] += h * (now.vz + h / 6.0f * (gz + k3.vz));
        y[3][i] = after.qx * scale;
        y[4][i] = after.qy * scale;
        y[5][i] = after.qz * scale;
        y[6][i] = after.qw * scale;
        y[7][i] = after.vx;
        y[8][i] = after.vy;
        y[9][i] = after.vz;
        y[10][i] = after.wx;
        y[11][i] = after.wy;
        y[12][i] = after.wz;
        y[13][i] = clip(after.s0, 0.0f, 1.0f);
        y[14][i] = clip(after.s1, 0.0f, 1.0f);
        y[15][i] = clip(after.s2, 0.0f, 1.0f);
        y[16][i] = clip(after.s3, 0.0f, 1.0f);
    }
}

/* Fly n drones for so many steps; the state is changed in place. */
void quadrotor_advance(const model_t *model, float *state, const float *actions, const float *wrench,
                       size_t n, size_t steps) {
    const model_t m = *model;
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t count = n - first < BLOCK ? n - first : BLOCK;
        float y[ROWS][BLOCK], d[6][BLOCK];
        for (size_t row = 0; row < ROWS; row++)
            for (size_t i = 0; i < count; i++) y[row][i] = state[row * n + first + i];
        for (size_t row = 0; row < 6; row++) {
            /* The force is kept as an acceleration, to which gravity belongs. */
            const float factor = row < 3 ? m.per_mass : 1.0f, base = row == 2 ? -m.gravity : 0.0f;
            for (size_t i = 0; i < count; i++)
                d[row][i] = base + (wrench ? factor * wrench[row * n + first + i] : 0.0f);
        }
        for (size_t t = 0; t < steps; t++) {
            const float *a = actions + 4 * t * n + first;
            if (m.up == m.down)
                step_block(m, y, a, a + n, a + 2 * n, a + 3 * n, d, count, 1);
            else
                step_block(m, y, a, a + n, a + 2 * n, a + 3 * n, d, count, 0);
        }
        for (size_t row = 0; row < ROWS; row++)
            for (size_t i = 0; i < count; i++) state[row * n + first + i] = y[row][i];
    }
}
