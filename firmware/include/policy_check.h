/* The policy of this firmware, and the proof at boot that it acts as it did when it was exported. */
#ifndef POLICY_CHECK_H
#define POLICY_CHECK_H

#include <stdbool.h>

/* What a self-test found. */
typedef struct {
    bool weights_intact;    /* the weights have the checksum that they were exported with */
    bool golden_repeated;   /* the golden observation gives the golden action */
    float worst_error;      /* largest difference of an element of the golden action */
} policy_report;

/* action = policy(observation): POLICY_INPUTS numbers in the units of the spec, POLICY_OUTPUTS in [-1, 1]. */
void policy_run(const float *observation, float *action);

/* Replays the golden pair and sums the weights up; true when the policy may act. */
bool policy_self_test(policy_report *report);

#endif
