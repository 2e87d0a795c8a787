/* What the Crazyflie's motors lift, as its firmware assumes with the default propellers. */
#ifndef PLATFORM_DEFAULTS_H
#define PLATFORM_DEFAULTS_H

#define THRUST_MAX 0.12f /* of one motor [N] */

#endif
