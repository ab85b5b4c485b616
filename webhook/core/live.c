/* What the API server told; see live.h. */
#include "core/live.h"

static const struct str problems[] = {
    [LIVE_THERE] = STR(""),
    [LIVE_ABSENT] = STR(""),
    [LIVE_FORBIDDEN] = STR("reading it is forbidden (HTTP 401 or 403)"),
    [LIVE_LATE] = STR("the API server did not answer in time"),
    [LIVE_FAILED] = STR("the API server answered with an error, or not at all"),
    [LIVE_NO_CONFIG_MAP] = STR("what the API server answered is no ConfigMap"),
    [LIVE_LARGE] = STR("it is larger than what is looked at here"),
    [LIVE_NO_MEMORY] = STR("there was no memory for it"),
};

_Static_assert(LIVE_MAXIMUM == 16u, "the text below says so");

struct str live_problem(const struct live *live, struct str name)
{
    if (live == NULL)
        return STR("");
    for (size_t i = 0; i < live->count; i++) {
        if (str_eq(live->names[i], name))
            return problems[live->told[i]];
    }
    return live->closed ? STR("more than 16 would have to be read for it") : STR("");
}
