/* What a program here needs of the machine it runs on: a host process, or a Cortex-M4 with semihosting. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens the ways in and out. */
void platform_start(void);

/* All of `size` bytes from standard input; false at its end. */
bool platform_read(void *data, size_t size);

/* All of `size` bytes to standard output, at once. */
bool platform_write(const void *data, size_t size);

/* Text for people, to standard error. */
void platform_say(const char *text);

/* A timer that counts up, modulo 2^24. */
uint32_t platform_timer(void);

/* Instructions between two readings of the timer; 0 where they cannot be counted. */
uint32_t platform_instructions(uint32_t since, uint32_t until);

#endif
