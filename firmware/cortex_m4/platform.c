/* Standard streams through semihosting, and instructions counted with SysTick.
 *
 * QEMU with `-icount shift=3` lets 8 ns pass with each instruction; SysTick of the netduinoplus2 runs at
 * 168 MHz and so ticks 1.344 = 168 / 125 times for each.
 */
#include "platform.h"

#include <string.h>

#include "semihosting.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xe000e018u)
#define SYSTICK_RANGE 0xffffffu
#define SYSTICK_RUN_ON_CORE_CLOCK 5u

static int32_t input, output, errors;

void platform_start(void)
{
    input = semihosting_open("/dev/stdin", SEMIHOSTING_READ);
    output = semihosting_open("/dev/stdout", SEMIHOSTING_APPEND);
    errors = semihosting_open("/dev/stderr", SEMIHOSTING_APPEND);
    SYSTICK_RELOAD = SYSTICK_RANGE;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_RUN_ON_CORE_CLOCK;
}

bool platform_read(void *data, size_t size)
{
    unsigned char *place = data;
    while (size > 0) {
        const size_t left = semihosting_read(input, place, size);
        if (left >= size) {
            return false;
        }
        place += size - left;
        size = left;
    }
    return true;
}

bool platform_write(const void *data, size_t size)
{
    return semihosting_write(output, data, size) == 0;
}

void platform_say(const char *text)
{
    (void)semihosting_write(errors, text, strlen(text));
}

uint32_t platform_timer(void)
{
    return SYSTICK_RANGE - SYSTICK_VALUE;
}

uint32_t platform_instructions(uint32_t since, uint32_t until)
{
    const uint32_t ticks = (until - since) & SYSTICK_RANGE;
    return (uint32_t)(((uint64_t)ticks * 125u + 84u) / 168u);
}
