/* The Crazyflie's log, which nobody reads here. */
#ifndef LOG_H
#define LOG_H

#define LOG_GROUP_START(name)
#define LOG_ADD(type, name, address)
#define LOG_GROUP_STOP(name)

#endif
