#include "semihosting.h"

#include <string.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { APPLICATION_EXIT = 0x20026 };

static uint32_t call(uint32_t operation, const uint32_t *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const uint32_t *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int32_t semihosting_open(const char *path, uint32_t mode)
{
    const uint32_t arguments[] = {(uint32_t)path, mode, (uint32_t)strlen(path)};
    return (int32_t)call(SYS_OPEN, arguments);
}

size_t semihosting_read(int32_t handle, void *data, size_t size)
{
    const uint32_t arguments[] = {(uint32_t)handle, (uint32_t)data, (uint32_t)size};
    return call(SYS_READ, arguments);
}

size_t semihosting_write(int32_t handle, const void *data, size_t size)
{
    const uint32_t arguments[] = {(uint32_t)handle, (uint32_t)data, (uint32_t)size};
    return call(SYS_WRITE, arguments);
}

void semihosting_exit(int status)
{
    const uint32_t arguments[] = {APPLICATION_EXIT, (uint32_t)status};
    for (;;) {
        (void)call(SYS_EXIT_EXTENDED, arguments);
    }
}
