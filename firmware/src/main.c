/* Flies a vehicle that somebody else simulates: a flight_tick in, a reply out, until the input ends.
 *
 * At boot it runs the self-test and says on standard error what it found, in lines of "name value". Without
 * input that is all it does. Exit status 1: the self-test failed, and nothing was flown.
 */
#include "flight.h"
#include "platform.h"
#include "policy.h"

/* The answer to a tick: 20 bytes, little-endian as the tick. */
typedef struct {
    uint32_t status; /* a flight_status */
    float action[4];
} reply;

static void say_number(const char *name, uint32_t value)
{
    char digits[12];
    int at = (int)sizeof digits - 1;
    digits[at] = '\0';
    digits[--at] = '\n';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    platform_say(name);
    platform_say(digits + at);
}

/* Of one inference, less what reading the timer costs. */
static uint32_t instructions_of_inference(void)
{
    float action[POLICY_OUTPUTS];
    const uint32_t start = platform_timer();
    const uint32_t idle = platform_timer();
    policy_run(policy_golden_observation, action);
    const uint32_t end = platform_timer();
    return platform_instructions(idle, end) - platform_instructions(start, idle);
}

/* Of one tick in flight: guards, observation, inference, history. */
static uint32_t instructions_of_tick(flight *vehicle)
{
    static const flight_tick level = {.state = {.attitude = {0.0f, 0.0f, 0.0f, 1.0f}}};
    float action[4];
    (void)flight_arm(vehicle);
    const uint32_t start = platform_timer();
    const uint32_t idle = platform_timer();
    (void)flight_step(vehicle, &level, action);
    const uint32_t end = platform_timer();
    flight_disarm(vehicle);
    return platform_instructions(idle, end) - platform_instructions(start, idle);
}

int main(void)
{
    static flight vehicle;
    static flight_tick tick;
    platform_start();
    platform_say("policy " POLICY_NAME " " POLICY_DIGEST "\n");
    const bool passed = flight_boot(&vehicle);
    say_number("weights_intact ", vehicle.report.weights_intact);
    say_number("golden_repeated ", vehicle.report.golden_repeated);
    if (!passed) {
        platform_say("self-test failed: this vehicle does not arm\n");
        return 1;
    }
    say_number("golden_error_1e9 ", (uint32_t)(vehicle.report.worst_error * 1e9f));
    say_number("inference_instructions ", instructions_of_inference());
    say_number("tick_instructions ", instructions_of_tick(&vehicle));
    say_number("tick_bytes ", (uint32_t)sizeof tick);
    (void)flight_arm(&vehicle);
    while (platform_read(&tick, sizeof tick)) {
        reply answer;
        answer.status = (uint32_t)flight_step(&vehicle, &tick, answer.action);
        if (!platform_write(&answer, sizeof answer)) {
            return 1;
        }
    }
    return 0;
}
