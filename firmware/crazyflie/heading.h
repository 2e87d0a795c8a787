/* Headings: turns about the vertical, so that a policy which always looks along x flies with any yaw.
 *
 * What the policy sees turns with the heading that is asked for: nothing in its world has a direction but
 * that.
 */
#ifndef HEADING_H
#define HEADING_H

#include <math.h>

/* Cosine and sine of half the angle about z. */
typedef struct {
    float c, s;
} heading;

/* Sine of half the angle that the vehicle is at most away from the heading that the policy is shown: 30
 * degrees. Training knows vehicles that have turned away, but not any angle at any time. */
#define HEADING_REACH 0.2588190f

static inline heading heading_of_degrees(float degrees)
{
    const float half = 0.5f * 0.017453293f * degrees;
    const heading turn = {cosf(half), sinf(half)};
    return turn;
}

/* The turn about z that is part of the unit quaternion (x, y, z, w); none where it is upside down. */
static inline heading heading_of_quaternion(float z, float w)
{
    const float length = sqrtf(z * z + w * w);
    const heading turn = {length > 1e-3f ? w / length : 1.0f, length > 1e-3f ? z / length : 0.0f};
    return turn;
}

/* `wanted`, or what is nearest to it within reach of where the vehicle looks. */
static inline heading heading_within_reach(heading wanted, heading now)
{
    /* From the vehicle to what is wanted; both signs of (c, s) are the same turn. */
    const float sign = wanted.c * now.c + wanted.s * now.s < 0.0f ? -1.0f : 1.0f;
    const float sine = sign * (wanted.s * now.c - wanted.c * now.s);
    /* Written so that NaN is handed on, to where it stops the flight. */
    if (!(sine > HEADING_REACH || sine < -HEADING_REACH)) {
        return wanted;
    }
    const float s = sine > 0.0f ? HEADING_REACH : -HEADING_REACH;
    const float c = sqrtf(1.0f - HEADING_REACH * HEADING_REACH);
    const heading turn = {now.c * c - now.s * s, now.s * c + now.c * s};
    return turn;
}

/* A vector in axes that are turned by the heading. */
static inline void heading_turn_vector(heading by, float vector[3])
{
    const float cosine = by.c * by.c - by.s * by.s, sine = 2.0f * by.c * by.s;
    const float x = vector[0], y = vector[1];
    vector[0] = cosine * x + sine * y;
    vector[1] = cosine * y - sine * x;
}

/* An attitude, body to world as xyzw, in these axes. */
static inline void heading_turn_attitude(heading by, float q[4])
{
    const float x = q[0], y = q[1], z = q[2], w = q[3];
    q[0] = by.c * x + by.s * y;
    q[1] = by.c * y - by.s * x;
    q[2] = by.c * z - by.s * w;
    q[3] = by.c * w + by.s * z;
}

#endif
