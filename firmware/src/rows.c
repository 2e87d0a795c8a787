/* The policy for rows of observations: POLICY_INPUTS numbers in, POLICY_OUTPUTS out, until the input ends.
 * Any policy will do. It shows how exact the compiled one is, on this machine or a microcontroller. */
#include "platform.h"
#include "policy.h"
#include "policy_check.h"

int main(void)
{
    static float observation[POLICY_INPUTS];
    float action[POLICY_OUTPUTS];
    platform_start();
    while (platform_read(observation, sizeof observation)) {
        policy_run(observation, action);
        if (!platform_write(action, sizeof action)) {
            return 1;
        }
    }
    return 0;
}
