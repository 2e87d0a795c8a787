/* A firmware that is built for size would make the kernels slower by a tenth. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE_SIZE__)
#pragma GCC optimize("O2")
#endif

#include "policy_check.h"

#include "policy.h"

void policy_run(const float *observation, float *action)
{
    policy_act(observation, action);
}

bool policy_self_test(policy_report *report)
{
    float action[POLICY_OUTPUTS];
    bool close = true;
    report->weights_intact = policy_checksum() == POLICY_CHECKSUM;
    report->worst_error = 0.0f;
    policy_act(policy_golden_observation, action);
    for (int i = 0; i < POLICY_OUTPUTS; i++) {
        const float difference = action[i] - policy_golden_action[i];
        const float error = difference < 0.0f ? -difference : difference;
        /* Written so that NaN fails. */
        close = close && error <= POLICY_GOLDEN_TOLERANCE;
        report->worst_error = error > report->worst_error ? error : report->worst_error;
    }
    report->golden_repeated = close;
    return report->weights_intact && close;
}
