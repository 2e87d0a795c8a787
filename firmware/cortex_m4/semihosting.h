/* Calls into the host of an emulator or a debugger (Arm, "Semihosting for AArch32 and AArch64"). */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

/* Handle of a host's file, or -1. */
int32_t semihosting_open(const char *path, uint32_t mode);

/* Bytes that were not transferred; `size` at the end of a file. */
size_t semihosting_read(int32_t handle, void *data, size_t size);
size_t semihosting_write(int32_t handle, const void *data, size_t size);

/* Ends the emulator with this status. */
__attribute__((noreturn)) void semihosting_exit(int status);

/* Modes of fopen: "rb" and "ab", which leaves a file that others write to too as it is. */
#define SEMIHOSTING_READ 1u
#define SEMIHOSTING_APPEND 9u

#endif
