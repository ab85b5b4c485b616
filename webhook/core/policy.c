/* Words of the policy; see policy.h. Pure. */
#include "core/policy.h"

const char *policy_mode_name(enum policy_mode mode)
{
    return mode == POLICY_INJECT ? "Inject" : "Check";
}

const char *policy_enforcement_name(enum policy_enforcement enforcement)
{
    return enforcement == POLICY_ENFORCE ? "Enforce" : "Audit";
}

const char *policy_unlisted_name(enum policy_unlisted unlisted)
{
    switch (unlisted) {
    case UNLISTED_WARN:
        return "Warn";
    case UNLISTED_DENY:
        return "Deny";
    case UNLISTED_REMOVE:
        return "Remove";
    case UNLISTED_ALLOW:
        break;
    }
    return "Allow";
}

const char *policy_opaque_name(enum policy_opaque opaque)
{
    switch (opaque) {
    case OPAQUE_WARN:
        return "Warn";
    case OPAQUE_DENY:
        return "Deny";
    case OPAQUE_ALLOW:
        break;
    }
    return "Allow";
}
