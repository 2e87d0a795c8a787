/* Start of a Cortex-M4F without a vendor's library: vectors, floating-point unit, memory, main. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t stack_top[];
extern const uint32_t data_in_flash[];
extern uint32_t data_start[], data_end[], bss_start[], bss_end[];

int main(void);
void reset_handler(void);
void fault_handler(void);

typedef void (*vector)(void);

/* Initial stack pointer, then the handlers of the core's exceptions: all but reset end the program. */
typedef struct {
    uint32_t *stack;
    vector handlers[15];
} vector_table;

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    stack_top,
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler},
};

/* Before memory and the floating-point unit are ready: no floating-point instruction may come earlier. */
void reset_handler(void)
{
    volatile uint32_t *const coprocessor_access = (volatile uint32_t *)0xe000ed88u;
    *coprocessor_access |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = data_in_flash;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    semihosting_exit(main());
}

void fault_handler(void)
{
    semihosting_exit(2);
}
